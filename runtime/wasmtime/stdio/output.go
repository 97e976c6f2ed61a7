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

// How long a guest's end waits for clients that have not read all its output: for a guest that was
// killed, and for one that ended by itself and has its output also in a log.
const (
	flushPatience = 10 * time.Millisecond
	logPatience   = time.Second
)

// Indices of the guest's output streams.
const (
	stdout = iota
	stderr
	streamCount
)

// Output passes on a guest's output to its log and the attached clients. Only the guest's thread
// writes and closes; clients may be added and removed at any time.
type Output struct {
	ctx    context.Context //nolint:containedctx // the guest's: io.Writer has no parameter for it
	log    [streamCount]io.Writer
	logged bool    // whether there is a log
	first  *client // the client of the guest's start, or nil

	patience *time.Timer // set after the guest's end, for clients that do not read

	mu    sync.Mutex
	ended bool
	all   atomic.Pointer[[]*client] // replaced, never changed
}

// Log stores a guest's output.
type Log interface {
	Stdout() io.Writer
	Stderr() io.Writer
}

// NewOutput makes the output of a guest, with the client of its start. ctx is the guest's: a kill
// ends it. logged says that log keeps the output.
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
	go c.run() // it ends when c is removed or the guest has ended, and no Write runs
	return true
}

// remove removes a client. It gets no more output.
func (o *Output) remove(c *client) {
	o.mu.Lock()
	defer o.mu.Unlock()
	all := slices.DeleteFunc(slices.Clone(o.list()), func(other *client) bool { return other == c })
	o.all.Store(&all)
	close(c.left)
}

// Clients returns how many clients are attached, and how many of them have no room for more output.
// The guest waits for these.
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

// Write gives p to the log and then to each client, and waits until there is room. If there is a
// log, a failed stream is skipped. Without a log, the guest gets the error of the client of its
// start.
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

// Bound limits how long a client that does not read can delay the end of a guest, if the log has
// the output: after a time, cancel ends the guest's context and so the wait.
func (o *Output) Bound(cancel func()) {
	if o.logged {
		o.patience = time.AfterFunc(logPatience, cancel)
	}
}

// Close waits until everything is written, or until a short time after the end of the guest's
// context. A write that still runs then is abandoned: it ends when the client reads or closes the
// stream.
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
