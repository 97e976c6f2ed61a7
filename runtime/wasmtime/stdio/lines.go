package stdio

import (
	"bytes"
	"io"
	"sync"
)

// Lines takes the output of several instances of one guest, at the same time, as whole lines.
type Lines struct {
	mu  sync.Mutex
	out *Output
}

// NewLines makes Lines for an output, to which nothing else is written meanwhile.
func NewLines(out *Output) *Lines { return &Lines{out: out} }

// maxLine is how many bytes of a line are kept until its end is there.
const maxLine = 16 << 10

// LineWriter is a stream of one instance. It implements io.Writer, and keeps the beginning of a
// line until that is complete.
type LineWriter struct {
	lines  *Lines
	to     io.Writer
	prefix string
	line   []byte
}

// Stdout is a standard output whose lines begin with a prefix.
func (l *Lines) Stdout(prefix string) *LineWriter {
	return &LineWriter{lines: l, to: l.out.Stdout(), prefix: prefix}
}

// Stderr is a standard error, likewise.
func (l *Lines) Stderr(prefix string) *LineWriter {
	return &LineWriter{lines: l, to: l.out.Stderr(), prefix: prefix}
}

// Line writes one line to the standard error, Out to the standard output.
func (l *Lines) Line(text string) { l.write(l.out.Stderr(), text) }

// Out writes one line to the standard output.
func (l *Lines) Out(text string) { l.write(l.out.Stdout(), text) }

// write writes a line. If its log or client fails, the line is lost.
func (l *Lines) write(to io.Writer, text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, _ = io.WriteString(to, text+"\n")
}

// Write writes the lines that are complete.
func (w *LineWriter) Write(p []byte) (int, error) {
	end := bytes.LastIndexByte(p, '\n') + 1
	if end > 0 {
		if err := w.put(p[:end]); err != nil {
			return 0, err
		}
	}
	w.line = append(w.line, p[end:]...)
	if len(w.line) >= maxLine {
		if err := w.put([]byte{'\n'}); err != nil {
			return end, err
		}
	}
	return len(p), nil
}

// put writes what was kept and then p, which ends with a line's end.
func (w *LineWriter) put(p []byte) error {
	kept := w.line
	w.line = nil
	if w.prefix == "" && len(kept) == 0 {
		return w.pass(p)
	}
	var all []byte
	for len(p) > 0 {
		line, rest, _ := bytes.Cut(p, []byte{'\n'})
		all = append(all, w.prefix...)
		all = append(append(append(all, kept...), line...), '\n')
		kept, p = nil, rest
	}
	return w.pass(all)
}

func (w *LineWriter) pass(p []byte) error {
	w.lines.mu.Lock()
	defer w.lines.mu.Unlock()
	_, err := w.to.Write(p)
	return err
}

// Flush writes a line that has no end. Its instance has ended.
func (w *LineWriter) Flush() {
	if len(w.line) > 0 {
		_ = w.put([]byte{'\n'}) // the log has failed: nothing is left to tell
	}
}
