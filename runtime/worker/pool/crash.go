package pool

import (
	"io"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/krustlet-go/krustlet-wasi/runtime/worker/wire"
)

// goCrash is the exit status of a Go program that crashes. A Go program has the same status if its
// own code raises a signal; the engine does so when it aborts.
const goCrash = 2

// withCrash adds the crash that the worker's log reports.
func (e ending) withCrash(dir string) ending {
	if !e.known || e.signal != 0 || e.code != goCrash {
		return e
	}
	line, _, _ := strings.Cut(crashText(dir), "\n")
	name, _, _ := strings.Cut(line, ":")
	if s := unix.SignalNum(name); s != 0 {
		return ending{known: true, signal: s}
	}
	e.crash = line[:min(len(line), 200)]
	return e
}

// crashText is the worker's log from the first line of a crash on; empty if there is none.
func crashText(dir string) string {
	text := tail(dir)
	for line := range strings.Lines(text) {
		for _, sign := range []string{"fatal error: ", "panic: ", "SIG", "runtime: "} {
			if strings.HasPrefix(line, sign) {
				return text
			}
		}
		text = text[len(line):]
	}
	return ""
}

// lastWords is the crash in a worker's log, or else the end of the log.
func lastWords(dir string) string {
	const most = 4 << 10
	if text := crashText(dir); text != "" {
		return text[:min(len(text), most)]
	}
	text := tail(dir)
	return strings.TrimSpace(text[max(0, len(text)-most):])
}

// tail is the end of a worker's log, or empty if it cannot be read. A crash with many guests is
// longer, and is cut.
func tail(dir string) string {
	const most = 1 << 20
	f, err := wire.OpenWithin(dir, wire.LogFile)
	if err != nil {
		return ""
	}
	defer f.Close() //nolint:errcheck // it was only read
	info, err := f.Stat()
	if err != nil {
		return ""
	}
	text, _ := io.ReadAll(io.NewSectionReader(f, max(0, info.Size()-most), most))
	return strings.ToValidUTF8(string(text), "\uFFFD")
}
