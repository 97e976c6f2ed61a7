package stdio

import (
	"context"
	"io"
	"sync/atomic"

	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
)

// pieceSize is how much of a guest's output goes to a client at once, in bytes, and pieces is how
// many of them may be on their way.
const (
	pieceSize = 16 << 10
	pieces    = 4
)

// client carries a guest's output to the streams that were attached together. One goroutine writes
// to both, so that they keep their order where both lead to one reader, and so that a reader that
// does not read holds the guest back and never its kill.
type client struct {
	to     [streamCount]io.Writer               // nil is not attached
	failed [streamCount]atomic.Pointer[failure] // why a stream takes no more
	broken chan error                           // the first failure; it has room for one
	full   chan piece
	free   chan []byte
	left   chan struct{} // closed when the client is removed
	done   chan struct{} // closed when everything is written, or the client is removed
}

type failure struct{ error }

// piece is output on its way.
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

// send puts p on its way, and waits until there is room.
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
		// p is the guest's memory, which may be freed before it is written.
		text = append(text[:0], p[sent:min(len(p), sent+pieceSize)]...)
		sent += len(text)
		c.full <- piece{stream: stream, text: text} // never blocks: there are no more pieces
	}
	return len(p), nil
}

// run writes until no more pieces come.
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
	default: // the other stream failed before
	}
}
