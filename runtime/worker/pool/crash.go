package pool

import (
	"io"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/krustlet-go/krustlet-wasi/runtime/worker/wire"
)

// goCrash is the exit status of a Go program that crashes. A signal that its own code raises also
// ends a Go program so: the engine raises one where it aborts.
const goCrash = 2

// withCrash adds what the worker wrote of its crash.
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

// crashText is what a worker wrote from the line on that tells of a crash; empty if there is none.
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

// lastWords is what a worker wrote of its crash, or the last that it wrote.
func lastWords(dir string) string {
	const most = 4 << 10
	if text := crashText(dir); text != "" {
		return text[:min(len(text), most)]
	}
	text := tail(dir)
	return strings.TrimSpace(text[max(0, len(text)-most):])
}

// tail is the end of what a worker wrote, if it can be read. A crash of many guests is longer, and
// is cut.
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
