package wasmtime

import (
	"context"
	"io"
	"slices"
	"sync"
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

// How long the end of a guest waits for those who read what it had written: of a killed one, and of one that
// ended by itself and whose output is in a log too.
const (
	flushPatience = 10 * time.Millisecond
	logPatience   = time.Second
)

// The guest's output streams, as indices.
const (
	stdout = iota
	stderr
	outputs
)

// outlets are where a guest's output goes: its log, and the streams that are attached. Only the guest's thread writes,
// and closes; others attach and detach meanwhile.
type outlets struct {
	ctx    context.Context //nolint:containedctx // the guest's: io.Writer has no place for it
	log    [outputs]io.Writer
	logged bool        // whether there is a log
	first  *attachment // what was attached at the start, nil for none

	patience *time.Timer // of a guest that has ended, for those who do not read

	mu    sync.Mutex
	ended bool
	all   atomic.Pointer[[]*attachment] // replaced, never changed
}

// newOutlets makes the outlets of a guest, with what is attached from the start.
func newOutlets(ctx context.Context, log containerLog, logged bool, streams runtime.Streams) *outlets {
	o := &outlets{ctx: ctx, log: [outputs]io.Writer{log.Stdout(), log.Stderr()}, logged: logged}
	if streams.Stdout != nil || streams.Stderr != nil {
		o.first = newAttachment(streams)
		o.add(o.first)
	}
	return o
}

// add attaches. It says no when the guest has ended.
func (o *outlets) add(at *attachment) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.ended {
		return false
	}
	all := append(slices.Clone(o.list()), at)
	o.all.Store(&all)
	go at.run() // ends when the guest has, or at is detached, and no Write is under way
	return true
}

// detach has nothing more given to at.
func (o *outlets) detach(at *attachment) {
	o.mu.Lock()
	defer o.mu.Unlock()
	all := slices.DeleteFunc(slices.Clone(o.list()), func(other *attachment) bool { return other == at })
	o.all.Store(&all)
	close(at.gone)
}

func (o *outlets) list() []*attachment {
	if all := o.all.Load(); all != nil {
		return *all
	}
	return nil
}

// outlet is one of a guest's output streams.
type outlet struct {
	*outlets
	stream int
}

// Write gives p to the log and then to each attached stream, and waits for room there. A stream that has failed is left
// out where there is a log; a guest that has nothing else than what was attached at its start gets the error.
func (o outlet) Write(p []byte) (int, error) {
	if n, err := o.log[o.stream].Write(p); err != nil {
		return n, err
	}
	for _, at := range o.list() {
		n, err := at.send(o.ctx, o.stream, p)
		if err != nil && (at == o.first && !o.logged || o.ctx.Err() != nil) {
			return n, err
		}
	}
	return len(p), nil
}

// bound makes sure that a guest that has ended is not kept by a reader that does not read, where nothing is lost by
// that: cancel ends the wait.
func (o *outlets) bound(cancel func()) {
	if o.logged {
		o.patience = time.AfterFunc(logPatience, cancel)
	}
}

// close waits until everything is written, or until the guest's context and a little more have passed. Then a write that is
// under way is left to whoever owns the stream: it ends when the reader reads or goes.
func (o *outlets) close() {
	if o.patience != nil {
		defer o.patience.Stop()
	}
	o.mu.Lock()
	o.ended = true
	o.mu.Unlock()
	all := o.list()
	for _, at := range all {
		close(at.full)
	}
	for _, at := range all {
		select {
		case <-at.done:
			continue
		case <-at.gone:
			continue
		case <-o.ctx.Done():
		}
		select {
		case <-at.done:
		case <-at.gone:
		case <-time.After(flushPatience):
		}
	}
}

// attachment carries a guest's output to the streams that are attached together. One goroutine writes, so that
// the two streams keep their order where both lead to one place, and so that a reader that does not read
// holds the guest back and never its kill.
type attachment struct {
	to     [outputs]io.Writer               // nil is not attached
	failed [outputs]atomic.Pointer[failure] // why one takes no more
	broken chan error                       // the first of those, of one slot
	full   chan piece
	free   chan []byte
	gone   chan struct{} // closed when it is detached
	done   chan struct{} // closed when everything is written, or at is detached
}

type failure struct{ error }

// piece is output on its way.
type piece struct {
	stream int
	text   []byte
}

func newAttachment(streams runtime.Streams) *attachment {
	at := &attachment{
		to: [outputs]io.Writer{streams.Stdout, streams.Stderr}, broken: make(chan error, 1), gone: make(chan struct{}),
		full: make(chan piece, pieces), free: make(chan []byte, pieces), done: make(chan struct{}),
	}
	for range pieces {
		at.free <- nil
	}
	return at
}

// send puts p on its way, and waits for room.
func (at *attachment) send(ctx context.Context, stream int, p []byte) (int, error) {
	if at.to[stream] == nil {
		return len(p), nil
	}
	for sent := 0; sent < len(p); {
		if err := at.failed[stream].Load(); err != nil {
			return sent, err.error
		}
		var text []byte
		select {
		case text = <-at.free:
		case <-at.gone:
			return len(p), nil
		case <-ctx.Done():
			return sent, wasi.ErrKilled
		}
		// p is the guest's memory, which may be gone before it is written.
		text = append(text[:0], p[sent:min(len(p), sent+pieceSize)]...)
		sent += len(text)
		at.full <- piece{stream: stream, text: text} // has room: there are no more pieces than that
	}
	return len(p), nil
}

// run writes until there is no more to come.
func (at *attachment) run() {
	defer close(at.done)
	for {
		select {
		case <-at.gone:
			return
		case p, more := <-at.full:
			if !more {
				return
			}
			at.write(p)
			at.free <- p.text
		}
	}
}

func (at *attachment) write(p piece) {
	if at.failed[p.stream].Load() != nil {
		return
	}
	n, err := at.to[p.stream].Write(p.text)
	if err == nil && n < len(p.text) {
		err = io.ErrShortWrite
	}
	if err == nil {
		return
	}
	at.failed[p.stream].Store(&failure{err})
	select {
	case at.broken <- err:
	default: // the other one failed before
	}
}
