package pool

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/worker/wire"
	"github.com/krustlet-go/krustlet-wasi/runtime/worker/workerpb"
)

// session is a guest that belongs to the agent's caller: it ends with its stream. It implements runtime.Process.
type session struct {
	*process
	cancel context.CancelFunc // of the stream

	mu       sync.Mutex
	deadline time.Time // when the reader is given up
	timer    *time.Timer
	giveUp   chan struct{}
}

// readerPatience is what the reader of a session that is killed has to take what is on its way.
const readerPatience = 100 * time.Millisecond

// startSession starts a session; the place that it has in the worker is its own from there on, unless there is an
// error.
func (w *remote) startSession(ctx context.Context, r *process, spec runtime.Spec, streams runtime.Streams) (*session, error) {
	if err := w.inTouch(ctx); err != nil {
		if ctx.Err() == nil {
			err = fmt.Errorf("%w: %w", errGone, err)
		}
		return nil, err
	}
	own, cancel := context.WithCancel(context.WithoutCancel(ctx))
	s := &session{process: r, cancel: cancel, giveUp: make(chan struct{})}
	keep := context.AfterFunc(ctx, cancel)
	pipe := &pipe{streams: streams, giveUp: s.giveUp}
	err := s.open(own, pipe, spec)
	if started := keep(); err == nil && !started {
		err = ctx.Err()
	}
	if err == nil {
		w.pool.mu.Lock()
		err = w.pool.begin(func(ctx context.Context) { s.run(ctx, pipe) })
		w.pool.mu.Unlock()
	}
	if err != nil {
		cancel()
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, err
	}
	return s, nil
}

// open starts the guest.
func (s *session) open(ctx context.Context, p *pipe, spec runtime.Spec) error {
	w := s.worker
	failed := func(err error) error {
		return fmt.Errorf("ask the worker process %d to start a session: %w", w.info.PID, err)
	}
	var err error
	if p.stream, err = w.client.Exec(ctx); err != nil {
		return failed(err)
	}
	if err := p.open(&workerpb.Open{Spec: wire.ToSpec(spec)}); err != nil {
		_, err = p.stream.Recv() // tells why
		return failed(err)
	}
	out, err := p.stream.Recv()
	if err != nil {
		return failed(err)
	}
	switch kind := out.GetKind().(type) {
	case *workerpb.Output_Started:
		s.startedAt = wire.FromTime(kind.Started)
		return nil
	case *workerpb.Output_Failure:
		return wire.FromFailure(kind.Failure)
	}
	return failed(errMessage)
}

// run carries the streams until the guest has ended. ctx is the pool's: without it the session ends.
func (s *session) run(ctx context.Context, p *pipe) {
	defer s.worker.pool.giveBack(s.worker)
	defer s.cancel()
	defer context.AfterFunc(ctx, s.cancel)()
	go p.feed()
	last, err := p.receive()
	exit := last.GetExit()
	if err == nil && exit == nil {
		err = errMessage
	}
	if err != nil {
		s.end(s.lost(ctx, err), nil)
	} else {
		s.end(wire.FromExit(exit.GetExit()), exit.GetStats())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.timer != nil {
		s.timer.Stop()
	}
}

// lost is the exit of a session whose stream broke: mostly because its worker has died, which is about to be noticed.
func (s *session) lost(ctx context.Context, err error) runtime.Exit {
	ctx, cancel := context.WithTimeout(ctx, agentPatience)
	defer cancel()
	select {
	case <-s.worker.dead:
		return s.worker.cause.exit(s.process)
	case <-ctx.Done():
	}
	return killed(s.process, 137, fmt.Sprintf("the connection to the worker process %d that hosted the container broke: %v", s.worker.info.PID, err))
}

// Stop implements runtime.Process.
func (s *session) Stop(grace time.Duration) {
	select {
	case <-s.done:
		return
	default:
	}
	s.process.Stop(grace)
	s.mu.Lock()
	defer s.mu.Unlock()
	deadline := time.Now().Add(max(0, grace) + readerPatience)
	switch {
	case s.timer == nil:
		s.timer = time.AfterFunc(time.Until(deadline), func() { close(s.giveUp) })
	case deadline.Before(s.deadline):
		if s.timer.Stop() {
			s.timer.Reset(time.Until(deadline))
		}
	default:
		return
	}
	s.deadline = deadline
}

// Attach implements runtime.Process.
func (p *process) Attach(ctx context.Context, streams runtime.Streams) error {
	select {
	case <-p.done:
		return nil
	default:
	}
	if err := p.worker.inTouch(ctx); err != nil {
		return fmt.Errorf("attach: %w", err)
	}
	inner, cancel := withoutDeadline(ctx)
	defer cancel()
	stream, err := p.worker.client.Attach(inner)
	if err != nil {
		return fmt.Errorf("attach: %w", err)
	}
	c := &pipe{stream: stream, streams: streams, giveUp: ctx.Done()}
	if err := c.open(&workerpb.Open{Id: p.id}); err == nil {
		go c.feed()
	}
	last, err := c.receive()
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return fmt.Errorf("attach: %w", err)
	case last.GetFailure().GetClass() == workerpb.Failure_UNKNOWN:
		return nil // it has ended
	case last.GetFailure() != nil:
		return c.failure(last.GetFailure())
	}
	return nil
}
