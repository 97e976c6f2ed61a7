package logfile

import (
	"fmt"
	"time"
)

// Options says which part of a log Read shows, and how. These are the fields of a
// corev1.PodLogOptions that concern only the file. With the zero value, Read shows the whole log
// and returns.
type Options struct {
	// Follow makes Read continue at the end of the log, until ctx ends, the log is removed, or Done
	// is closed and all text was shown.
	Follow bool
	// Done tells a follower that the container has ended and its Writer is closed. It may be nil.
	Done <-chan struct{}
	// Watcher notifies followers. If it is nil, Read makes its own while it follows. That is enough
	// for a few followers; a server shares one, because the kernel allows a user 128 by default.
	Watcher *Watcher
	// TailLines, unless nil, is how many lines from the end are shown. If Stream is set, only lines
	// of that stream count.
	TailLines *int64
	// LimitBytes, unless nil, ends the output after this number of bytes, even in the middle of a
	// line.
	LimitBytes *int64
	// SinceTime leaves out lines that were written before it. A zero time leaves out none.
	SinceTime time.Time
	// Timestamps puts the time when a line was written, and a space, before the line.
	Timestamps bool
	// Stream selects one stream; empty shows both.
	Stream Stream
}

// shows returns for each stream whether it is selected.
func (o *Options) shows() (show [streams]bool, err error) {
	switch o.Stream {
	case "":
		show = [streams]bool{true, true}
	case Stdout:
		show[stdout] = true
	case Stderr:
		show[stderr] = true
	default:
		return show, fmt.Errorf("stream %q: must be stdout, stderr or empty", string(o.Stream))
	}
	if o.TailLines != nil && *o.TailLines < 0 {
		return show, fmt.Errorf("tail lines %d: must not be negative", *o.TailLines)
	}
	if o.LimitBytes != nil && *o.LimitBytes < 0 {
		return show, fmt.Errorf("byte limit %d: must not be negative", *o.LimitBytes)
	}
	return show, nil
}
