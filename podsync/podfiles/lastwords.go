package podfiles

import (
	"context"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"

	"github.com/krustlet-go/krustlet-wasi/podsync/life"
	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/logfile"
)

// Bounds of termination messages, in bytes: of all containers of a pod together, and of the part
// that comes from a log.
const (
	podMessageLimit = 12 << 10
	logMessageLimit = 2 << 10
	logMessageLines = 80
)

// WithLastWords adds the termination message to an exit. The message is what the guest wrote to its
// termination log or, if the policy of the container says so, the end of its log.
func (d Pod) WithLastWords(c *corev1.Container, attempt int32, containers int, exit runtime.Exit) runtime.Exit {
	words := readEnd(d.TerminationLog(c.Name), min(life.MessageLimit, podMessageLimit/max(1, containers)))
	if words == "" && exit.Code != 0 && c.TerminationMessagePolicy == corev1.TerminationMessageFallbackToLogsOnError {
		words = endOfLog(d.Log(c.Name, attempt))
	}
	switch {
	case exit.Message == "":
		exit.Message = words
	case words != "":
		exit.Message += ": " + words
	}
	return exit
}

// readEnd is the end of a file that a guest may have written. It is empty if the file is
// unreadable.
func readEnd(path string, limit int) string {
	// O_NONBLOCK: opening a pipe would wait for its writer.
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW, 0)
	if err != nil {
		return ""
	}
	defer f.Close() //nolint:errcheck // nothing was written
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return ""
	}
	start := max(0, info.Size()-int64(limit))
	text, err := io.ReadAll(io.NewSectionReader(f, start, int64(limit)))
	if err != nil {
		return ""
	}
	return strings.ToValidUTF8(string(text), "")
}

func endOfLog(path string) string {
	var out end
	lines := int64(logMessageLines)
	if err := logfile.Read(context.Background(), &out, path, logfile.Options{TailLines: &lines}); err != nil {
		return ""
	}
	return strings.ToValidUTF8(string(out), "")
}

// end keeps only the end of what is written to it.
type end []byte

func (e *end) Write(text []byte) (int, error) {
	*e = append(*e, text...)
	*e = (*e)[max(0, len(*e)-logMessageLimit):]
	return len(text), nil
}
