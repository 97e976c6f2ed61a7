package wasmtime

import (
	"context"
	"io"
	"sync/atomic"
	"time"

	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
)

// pieceSize is how much of a guest's output travels to an attached stream at once, and pieces how much may be on
// its way: what a reader that does not read holds of a guest's output.
const (
	pieceSize = 16 << 10
	pieces    = 4
)

// How long the end of a guest waits for the reader of what it had written: of a killed one, and of one that
// ended by itself and whose output is in a log too.
const (
	flushPatience = 10 * time.Millisecond
	logPatience   = time.Second
)

// attachment carries a guest's output to the streams that are attached to it. One goroutine writes, so that
// the two streams keep their order where both lead to one place, and so that a reader that does not read
// holds the guest back and never its kill.
type attachment struct {
	logged bool // whether there is a log beside it
	full   chan piece
	free   chan []byte
	done   chan struct{} // closed when everything is written
}

// piece is output on its way.
type piece struct {
	to   *attachedStream
	text []byte
}

// attachedStream is the guest's end of one attached stream, and of its log.
type attachedStream struct {
	at     *attachment
	ctx    context.Context //nolint:containedctx // the guest's: io.Writer has no place for it
	log    io.Writer       // nil for a guest without a log
	w      io.Writer
	failed atomic.Pointer[error] // why w takes no more
}

// attach puts the attached streams beside a guest's log. The attachment is nil if there are none.
func attach(ctx context.Context, log containerLog, streams runtime.Streams, hasLog bool) (stdout, stderr io.Writer, at *attachment) {
	stdout, stderr = log.Stdout(), log.Stderr()
	if streams.Stdout == nil && streams.Stderr == nil {
		return stdout, stderr, nil
	}
	at = &attachment{logged: hasLog, full: make(chan piece, pieces), free: make(chan []byte, pieces), done: make(chan struct{})}
	for range pieces {
		at.free <- nil
	}
	side := func(log, w io.Writer) io.Writer {
		if w == nil {
			return log
		}
		if !hasLog {
			log = nil
		}
		return &attachedStream{at: at, ctx: ctx, log: log, w: w}
	}
	go at.run()
	return side(stdout, streams.Stdout), side(stderr, streams.Stderr), at
}

// Write gives p to the log and then to the attached stream, and waits for room there. A stream that has failed is left
// out where there is a log; a guest that has nothing else gets the error.
func (s *attachedStream) Write(p []byte) (int, error) {
	if s.log != nil {
		if n, err := s.log.Write(p); err != nil {
			return n, err
		}
	}
	for sent := 0; sent < len(p); {
		if err := s.failed.Load(); err != nil {
			if s.log != nil {
				return len(p), nil
			}
			return sent, *err
		}
		var text []byte
		select {
		case text = <-s.at.free:
		case <-s.ctx.Done():
			return sent, wasi.ErrKilled
		}
		// p is the guest's memory, which may be gone before it is written.
		text = append(text[:0], p[sent:min(len(p), sent+pieceSize)]...)
		sent += len(text)
		s.at.full <- piece{to: s, text: text} // has room: there are no more pieces than that
	}
	return len(p), nil
}

// run writes until there is no more to come.
func (at *attachment) run() {
	defer close(at.done)
	for p := range at.full {
		if p.to.failed.Load() == nil {
			n, err := p.to.w.Write(p.text)
			if err == nil && n < len(p.text) {
				err = io.ErrShortWrite
			}
			if err != nil {
				p.to.failed.Store(&err)
			}
		}
		at.free <- p.text
	}
}

// bound makes sure that a guest that has ended is not kept by a reader that does not read, where nothing is lost by
// that: cancel ends the wait.
func (at *attachment) bound(cancel func()) {
	if at != nil && at.logged {
		time.AfterFunc(logPatience, cancel)
	}
}

// close waits until everything is written, or until ctx and a little more have passed. Then a write that is
// under way is left to whoever owns the stream: it ends when the reader reads or goes.
func (at *attachment) close(ctx context.Context) {
	if at == nil {
		return
	}
	close(at.full)
	select {
	case <-at.done:
		return
	case <-ctx.Done():
	}
	select {
	case <-at.done:
	case <-time.After(flushPatience):
	}
}
