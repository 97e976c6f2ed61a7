package stdio

import (
	"context"
	"io"
	"sync/atomic"

	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
)

// pieceSize is how many bytes of a guest's output go to a client at once. pieces is how many such
// pieces may be waiting.
const (
	pieceSize = 16 << 10
	pieces    = 4
)

// client writes a guest's output to the streams that were attached together. One goroutine writes
// to both streams, so that their order is kept if both lead to one reader. If a reader does not
// read, the guest must wait, but a kill of the guest does not wait.
type client struct {
	to     [streamCount]io.Writer               // nil if not attached
	failed [streamCount]atomic.Pointer[failure] // why a stream accepts no more output
	broken chan error                           // the first failure; it has room for one
	full   chan piece
	free   chan []byte
	left   chan struct{} // closed when the client is removed
	done   chan struct{} // closed when everything is written, or after the client is removed
}

type failure struct{ error }

// piece is output that waits to be written.
type piece struct {
	stream int
	text   []byte
}

func newClient(streams runtime.Streams) *client {
	c := &client{
		to:     [streamCount]io.Writer{streams.Stdout, streams.Stderr},
		broken: make(chan error, 1),
		full:   make(chan piece, pieces),
		free:   make(chan []byte, pieces),
		left:   make(chan struct{}),
		done:   make(chan struct{}),
	}
	for range pieces {
		c.free <- nil
	}
	return c
}

// send adds p to the waiting pieces, and waits until there is room.
func (c *client) send(ctx context.Context, stream int, p []byte) (int, error) {
	if c.to[stream] == nil {
		return len(p), nil
	}
	for sent := 0; sent < len(p); {
		if err := c.failed[stream].Load(); err != nil {
			return sent, err.error
		}
		var text []byte
		select {
		case text = <-c.free:
		case <-c.left:
			return len(p), nil
		case <-ctx.Done():
			return sent, wasi.ErrKilled
		}
		// p is the guest's memory, which may be freed before the piece is written.
		text = append(text[:0], p[sent:min(len(p), sent+pieceSize)]...)
		sent += len(text)
		c.full <- piece{stream: stream, text: text} // it never blocks, because there are no more pieces than room
	}
	return len(p), nil
}

// run writes pieces until no more come.
func (c *client) run() {
	defer close(c.done)
	for {
		select {
		case <-c.left:
			return
		case p, more := <-c.full:
			if !more {
				return
			}
			c.write(p)
			c.free <- p.text
		}
	}
}

func (c *client) write(p piece) {
	if c.failed[p.stream].Load() != nil {
		return
	}
	n, err := c.to[p.stream].Write(p.text)
	if err == nil && n < len(p.text) {
		err = io.ErrShortWrite
	}
	if err == nil {
		return
	}
	c.failed[p.stream].Store(&failure{err})
	select {
	case c.broken <- err:
	default: // the other stream has already failed
	}
}
