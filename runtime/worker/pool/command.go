package pool

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/worker/wire"
	"github.com/krustlet-go/krustlet-wasi/runtime/worker/workerpb"
)

// command is a guest that belongs to the agent's caller, so it is killed when its stream breaks. It
// implements runtime.Guest.
type command struct {
	*guest
	cancel context.CancelFunc // of the stream

	mu       sync.Mutex
	deadline time.Time // when a reader that blocks is abandoned
	timer    *time.Timer
	giveUp   chan struct{}
}

// readerPatience is how long the reader of a killed command may take to read the remaining output.
const readerPatience = 100 * time.Millisecond

// startCommand starts a command. If there is no error, the command releases its use of the worker
// at its end.
func startCommand(ctx context.Context, g *guest, spec runtime.Spec, streams runtime.Streams) (*command, error) {
	watch, err := g.worker.link.current(ctx, 0)
	if err == nil {
		err = g.worker.informedForCommand(ctx, watch)
	}
	if err != nil {
		if ctx.Err() == nil {
			err = fmt.Errorf("%w: %w", errExited, err)
		}
		return nil, err
	}
	own, cancel := context.WithCancel(context.WithoutCancel(ctx))
	c := &command{guest: g, cancel: cancel, giveUp: make(chan struct{})}
	keep := context.AfterFunc(ctx, cancel)
	pipe := &pipe{streams: streams, giveUp: c.giveUp}
	err = c.open(own, pipe, spec)
	if kept := keep(); err == nil && !kept {
		err = ctx.Err()
	}
	if err == nil {
		err = g.worker.pool.tasks.start(func(ctx context.Context) { c.run(ctx, pipe) })
	}
	if err != nil {
		cancel()
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, err
	}
	return c, nil
}

// open starts the guest.
func (c *command) open(ctx context.Context, p *pipe, spec runtime.Spec) error {
	w := c.worker
	failed := func(err error) error {
		return fmt.Errorf("asking the worker process %d to start a command: %w", w.info.PID, err)
	}
	var err error
	if p.stream, err = w.client.Exec(ctx); err != nil {
		return failed(err)
	}
	if err := p.open(&workerpb.Open{Spec: wire.ToSpec(spec)}); err != nil {
		_, err = p.stream.Recv() // its error has the reason
		return failed(err)
	}
	out, err := p.stream.Recv()
	if err != nil {
		return failed(err)
	}
	switch kind := out.GetKind().(type) {
	case *workerpb.Output_Started:
		c.noteBegun(wire.FromTime(kind.Started))
		return nil
	case *workerpb.Output_Failure:
		return wire.FromFailure(kind.Failure)
	}
	return failed(errMessage)
}

// run carries the streams until the guest has ended. ctx is the pool's; the command ends with it.
func (c *command) run(ctx context.Context, p *pipe) {
	defer c.worker.account.release()
	defer c.cancel()
	defer context.AfterFunc(ctx, c.cancel)()
	go p.feed()
	last, err := p.receive()
	exit := last.GetExit()
	if err == nil && exit == nil {
		err = errMessage
	}
	if err != nil {
		c.noteExit(c.lost(ctx, err), nil)
	} else {
		c.noteExit(wire.FromExit(exit.GetExit()), exit.GetStats())
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.timer != nil {
		c.timer.Stop()
	}
}

// lost is the exit of a command whose stream broke. Usually its worker has exited, and the pool
// will notice this soon.
func (c *command) lost(ctx context.Context, err error) runtime.Exit {
	ctx, cancel := context.WithTimeout(ctx, agentPatience)
	defer cancel()
	select {
	case <-c.worker.exited:
		return c.worker.account.exit().exit(c.guest)
	case <-ctx.Done():
	}
	return c.killed(137, fmt.Sprintf("the connection to the worker process %d that hosted the container broke: %v", c.worker.info.PID, err))
}

// Stop implements runtime.Guest.
func (c *command) Stop(grace time.Duration) {
	if c.hasEnded() {
		return
	}
	c.guest.Stop(grace)
	c.mu.Lock()
	defer c.mu.Unlock()
	deadline := time.Now().Add(max(0, grace) + readerPatience)
	switch {
	case c.timer == nil:
		c.timer = time.AfterFunc(time.Until(deadline), func() { close(c.giveUp) })
	case deadline.Before(c.deadline):
		if c.timer.Stop() {
			c.timer.Reset(time.Until(deadline))
		}
	default:
		return
	}
	c.deadline = deadline
}

// Attach implements runtime.Guest.
func (g *guest) Attach(ctx context.Context, streams runtime.Streams) error {
	if g.hasEnded() {
		return nil
	}
	if err := g.worker.inTouch(ctx); err != nil {
		return fmt.Errorf("attaching: %w", err)
	}
	inner, cancel := withoutDeadline(ctx)
	defer cancel()
	stream, err := g.worker.client.Attach(inner)
	if err != nil {
		return fmt.Errorf("attaching: %w", err)
	}
	p := &pipe{stream: stream, streams: streams, giveUp: ctx.Done()}
	if err := p.open(&workerpb.Open{Id: g.id}); err == nil {
		go p.feed()
	}
	last, err := p.receive()
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return fmt.Errorf("attaching: %w", err)
	case last.GetFailure().GetClass() == workerpb.Failure_UNKNOWN:
		return nil // the guest has ended
	case last.GetFailure() != nil:
		return p.failure(last.GetFailure())
	}
	return nil
}

var errMessage = errors.New("the worker sent a message that does not belong there")
