package logfile

import (
	"fmt"
	"time"
)

// Options says which part of a log Read shows, and how: the fields of a corev1.PodLogOptions that
// concern only the file. The zero value shows the whole log and returns.
type Options struct {
	// Follow goes on when the end of the log is reached, until ctx ends, the log is removed, or
	// Done is closed and all that was written has been shown.
	Follow bool
	// Done tells a follower that the container has ended and its Writer is closed. Nil never does.
	Done <-chan struct{}
	// Watcher notifies followers. With nil, Read makes one of its own for as long as it follows.
	// That does for a few; a server shares one, since the kernel allows a user 128 by default.
	Watcher *Watcher
	// TailLines, unless nil, starts at the last lines of the log: of the chosen stream, if one is
	// chosen.
	TailLines *int64
	// LimitBytes, unless nil, ends the output after that many bytes, even in the middle of a line.
	LimitBytes *int64
	// SinceTime leaves out lines that were written before it. Zero leaves out none.
	SinceTime time.Time
	// Timestamps puts the time at which it was written, and a space, before each line.
	Timestamps bool
	// Stream chooses one stream; empty shows both.
	Stream Stream
}

// shows returns for each stream whether it is chosen.
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
