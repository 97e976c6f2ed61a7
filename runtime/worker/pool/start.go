package pool

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/worker/wire"
	"github.com/krustlet-go/krustlet-wasi/runtime/worker/workerpb"
)

// attempts bounds how often a start looks for another worker.
const attempts = 3

// Start implements runtime.Engine. A run without a container's name (Spec.Of.Container) is a session of the pod that is
// named: it is not found again. Streams are for sessions only; whoever wants those of a container attaches to it.
func (p *Pool) Start(ctx context.Context, spec runtime.Spec, streams runtime.Streams) (runtime.Process, error) {
	session := spec.Of.Container == ""
	switch {
	case !session && streams != (runtime.Streams{}):
		return nil, errors.New("start a container: streams cannot be given to its start, only attached")
	case spec.Isolated && spec.Of.Pod == "":
		return nil, errors.New("start an isolated guest: it names no pod whose worker to use")
	}
	compiled, deaths := 0, 0
	var died *deathError
	for attempt := 1; ; attempt++ {
		if err := p.cfg.Compiler.Compile(ctx, spec.Of.Pod, spec.Digest, spec.Module); err != nil {
			return nil, err
		}
		began := time.Now()
		process, err := p.startOnce(ctx, spec, streams, session)
		if err == nil {
			if p.cfg.Started != nil {
				p.cfg.Started(session, time.Since(began))
			}
			return process, nil
		}
		again := errors.Is(err, errGone) || errors.Is(err, wire.ErrEnding)
		switch {
		case errors.Is(err, runtime.ErrNotCompiled):
			compiled++ // the oldest code is removed from disk, where there is much
			again = compiled == 1
		case errors.As(err, &died) && !session:
			deaths++ // most likely of something else; a module that kills workers gets two
			again = deaths == 1
		}
		if !again || attempt == attempts || ctx.Err() != nil {
			return nil, err
		}
	}
}

func (p *Pool) startOnce(ctx context.Context, spec runtime.Spec, streams runtime.Streams, session bool) (runtime.Process, error) {
	w, err := p.place(ctx, spec)
	if err != nil {
		return nil, err
	}
	r := newProcess(w, spec.ID, spec.Of)
	if session {
		s, err := w.startSession(ctx, r, spec, streams)
		if err != nil {
			p.giveBack(w)
			w.awaitBurial(ctx)
			return nil, err
		}
		return s, nil
	}
	if err := p.enter(r); err != nil {
		p.giveBack(w)
		return nil, err
	}
	if err := w.start(ctx, r, spec); err != nil {
		p.leaveRun(r)
		w.awaitBurial(ctx)
		return nil, err
	}
	return r, nil
}

// awaitBurial waits until the pool knows of a worker's death, if it is dead: else the next try would find it again.
func (w *remote) awaitBurial(ctx context.Context) {
	if !w.process.ended() {
		return
	}
	select {
	case <-w.dead:
	case <-ctx.Done():
	}
}

// place takes a place for a guest in the worker that is to host it, and starts that worker where there is none.
func (p *Pool) place(ctx context.Context, spec runtime.Spec) (*remote, error) {
	s := slot{shard: shardOf(spec, p.cfg.Shards)}
	if spec.Isolated {
		s = slot{pod: spec.Of.Pod}
	}
	for range attempts {
		p.mu.Lock()
		if w := p.find(s, spec.Of.Pod); w != nil {
			w.users++
			p.mu.Unlock()
			return w, nil
		}
		sp, err := p.spawn(s)
		p.mu.Unlock()
		if err != nil {
			return nil, err
		}
		select {
		case <-sp.done:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if sp.err != nil {
			return nil, sp.err
		}
	}
	return nil, errors.New("workers end as soon as they are started")
}

// shardOf spreads pods over the shared workers. A session without a pod goes anywhere.
func shardOf(spec runtime.Spec, shards int) int {
	key := spec.Of.Pod
	if key == "" {
		key = spec.ID
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(key)) // cannot fail
	return int(h.Sum32() % uint32(shards))
}

// find is the worker of a slot, or the shared one that hosts the pod already; nil if there is none. The lock must be held.
func (p *Pool) find(s slot, pod string) *remote {
	var found *remote
	for w := range p.workers {
		switch {
		case w.draining || w.closing || w.info.Isolated != (s.pod != ""):
		case w.info.Isolated:
			if w.info.Pod == s.pod {
				return w
			}
		case pod != "" && w.hosting[pod] > 0:
			return w
		case w.info.Shard == s.shard:
			found = w
		}
	}
	return found
}

// errGone says that a worker had died before it was asked.
var errGone = fmt.Errorf("the worker is gone: %w", runtime.ErrLost)

// start asks the worker to start a guest, over broken connections.
func (w *remote) start(ctx context.Context, r *process, spec runtime.Spec) error {
	req := &workerpb.StartRequest{Spec: wire.ToSpec(spec), Mark: w.marks.mark(spec.ID, spec.Of)}
	for known := uint64(0); ; known = req.GetWatch() {
		watch, err := w.link.current(ctx, known)
		switch {
		case err != nil && known == 0 && ctx.Err() == nil:
			return fmt.Errorf("%w: %w", errGone, err)
		case err != nil && known == 0:
			return err
		case err != nil:
			w.discard(r) // it was asked
			return err
		case w.pool.isRunning(r):
			return nil // it had succeeded before the connection broke
		}
		if known == 0 && w.process.ended() {
			return errGone // its end is about to be noticed; it gets no more guests
		}
		req.Watch = watch
		call, stop := withoutDeadline(ctx)
		resp, err := w.client.Start(call, req)
		stop()
		switch {
		case err == nil && resp.GetFailure() == nil:
			w.pool.noteStarted(r, resp.GetStartedAt())
			return nil
		case err == nil:
			if err := wire.FromFailure(resp.GetFailure()); !errors.Is(err, wire.ErrStale) {
				return err
			}
		case ctx.Err() != nil:
			w.discard(r)
			return ctx.Err()
		case status.Code(err) != codes.Unavailable && status.Code(err) != codes.Canceled: // our end is closed when it has died
			return fmt.Errorf("ask the worker process %d to start the container: %w", w.info.PID, err)
		}
	}
}

// withoutDeadline is a context that ends with ctx. The worker is not told of a deadline: who notices it first, and so the
// error, would be a matter of chance.
func withoutDeadline(ctx context.Context) (context.Context, context.CancelFunc) {
	inner, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, cancel)
	return inner, func() {
		stop()
		cancel()
	}
}

// discard undoes a start, and waits for that as long as calls may take. After that it is still undone as soon as the
// worker can be told.
func (w *remote) discard(r *process) {
	p := w.pool
	told := make(chan struct{})
	p.mu.Lock()
	p.refused[r.id] = struct{}{}
	w.users++
	err := p.begin(func(ctx context.Context) {
		defer close(told)
		w.keepDiscarding(ctx, r.id)
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.refused, r.id)
		p.leave(w)
	})
	p.mu.Unlock()
	if err != nil {
		return // the next agent finds it
	}
	ctx, cancel := context.WithTimeout(context.Background(), callPatience)
	defer cancel()
	select {
	case <-told:
	case <-ctx.Done():
	}
}

// keepDiscarding has the worker discard a run, unless the worker dies before.
func (w *remote) keepDiscarding(ctx context.Context, id string) {
	for {
		if err := w.inTouch(ctx); err != nil {
			return
		}
		if _, err := w.client.Discard(ctx, &workerpb.DiscardRequest{Id: id}); err == nil {
			return
		}
		if pause(ctx, callPause) != nil {
			return
		}
	}
}
