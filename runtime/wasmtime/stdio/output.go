package stdio

import (
	"context"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// How long the end of a guest waits for clients that have not read all that it wrote: of a guest
// that was killed, and of one that ended by itself and whose output is in a log too.
const (
	flushPatience = 10 * time.Millisecond
	logPatience   = time.Second
)

// The guest's output streams, as indices.
const (
	stdout = iota
	stderr
	streamCount
)

// Output is where a guest's output goes: its log, and the clients that are attached. Only the
// guest's thread writes and closes; clients come and leave meanwhile.
type Output struct {
	ctx    context.Context //nolint:containedctx // the guest's: io.Writer has no parameter for it
	log    [streamCount]io.Writer
	logged bool    // whether there is a log
	first  *client // the one that was attached at the start, nil for none

	patience *time.Timer // of a guest that has ended, for clients that do not read

	mu    sync.Mutex
	ended bool
	all   atomic.Pointer[[]*client] // replaced, never changed
}

// Log is where a guest's output is kept.
type Log interface {
	Stdout() io.Writer
	Stderr() io.Writer
}

// NewOutput makes the output of a guest, with the client that is attached from the start. ctx is
// the guest's: a kill ends it. logged says that log keeps what it gets.
func NewOutput(ctx context.Context, log Log, logged bool, streams runtime.Streams) *Output {
	o := &Output{ctx: ctx, log: [streamCount]io.Writer{log.Stdout(), log.Stderr()}, logged: logged}
	if streams.Stdout != nil || streams.Stderr != nil {
		o.first = newClient(streams)
		o.add(o.first)
	}
	return o
}

// Stdout returns the guest's standard output.
func (o *Output) Stdout() io.Writer { return writer{o, stdout} }

// Stderr returns the guest's standard error.
func (o *Output) Stderr() io.Writer { return writer{o, stderr} }

// add attaches a client. It returns false when the guest has ended.
func (o *Output) add(c *client) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.ended {
		return false
	}
	all := append(slices.Clone(o.list()), c)
	o.all.Store(&all)
	go c.run() // ends when the guest has, or c is removed, and no Write is under way
	return true
}

// remove gives nothing more to the client.
func (o *Output) remove(c *client) {
	o.mu.Lock()
	defer o.mu.Unlock()
	all := slices.DeleteFunc(slices.Clone(o.list()), func(other *client) bool { return other == c })
	o.all.Store(&all)
	close(c.left)
}

// Clients returns how many clients are attached, and how many of them have no room for more output:
// these hold the guest.
func (o *Output) Clients() (attached, full int) {
	all := o.list()
	for _, c := range all {
		if len(c.free) == 0 {
			full++
		}
	}
	return len(all), full
}

func (o *Output) list() []*client {
	if all := o.all.Load(); all != nil {
		return *all
	}
	return nil
}

// writer is one of a guest's output streams.
type writer struct {
	*Output
	stream int
}

// Write gives p to the log and then to each client, and waits until there is room. A stream that
// has failed is left out where there is a log. A guest that has only the client of its start gets
// the error.
func (w writer) Write(p []byte) (int, error) {
	if n, err := w.log[w.stream].Write(p); err != nil {
		return n, err
	}
	for _, c := range w.list() {
		n, err := c.send(w.ctx, w.stream, p)
		if err != nil && (c == w.first && !w.logged || w.ctx.Err() != nil) {
			return n, err
		}
	}
	return len(p), nil
}

// Bound makes sure that a client that does not read does not keep a guest that has ended, if the
// log has its output: cancel, which ends the guest's context, ends the wait.
func (o *Output) Bound(cancel func()) {
	if o.logged {
		o.patience = time.AfterFunc(logPatience, cancel)
	}
}

// Close waits until everything is written, or until the guest's context has ended and a little time
// has passed. Then a write that is under way is left to the owner of the stream: it ends when the
// client reads or closes the stream.
func (o *Output) Close() {
	if o.patience != nil {
		defer o.patience.Stop()
	}
	o.mu.Lock()
	o.ended = true
	o.mu.Unlock()
	all := o.list()
	for _, c := range all {
		close(c.full)
	}
	for _, c := range all {
		select {
		case <-c.done:
			continue
		case <-c.left:
			continue
		case <-o.ctx.Done():
		}
		select {
		case <-c.done:
		case <-c.left:
		case <-time.After(flushPatience):
		}
	}
}
