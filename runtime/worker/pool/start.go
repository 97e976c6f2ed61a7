package pool

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"time"

	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/worker/wire"
)

// attempts bounds how often a start tries with another worker.
const attempts = 3

// Start implements runtime.Engine. A spec without a container's name (Spec.Of.Container) is a
// command in the named pod; later agents do not find it. streams are for commands only. For the
// streams of a container, use Attach.
func (p *Pool) Start(ctx context.Context, spec runtime.Spec, streams runtime.Streams) (runtime.Guest, error) {
	command := spec.Of.Container == ""
	switch {
	case !command && streams != (runtime.Streams{}):
		return nil, errors.New("starting a container: streams cannot be given to its start, only attached")
	case spec.Isolated && spec.Of.Pod == "":
		return nil, errors.New("starting an isolated guest: it names no pod whose worker to use")
	}
	compiled, exits := 0, 0
	var exited *exitError
	for attempt := 1; ; attempt++ {
		if err := p.cfg.Compiler.Compile(ctx, spec.Of.Pod, spec.Digest, spec.Module); err != nil {
			return nil, err
		}
		began := time.Now()
		process, err := p.startOnce(ctx, spec, streams, command)
		if err == nil {
			if p.cfg.Started != nil {
				p.cfg.Started(command, time.Since(began))
			}
			return process, nil
		}
		again := errors.Is(err, errExited) || errors.Is(err, wire.ErrEnding)
		switch {
		case errors.Is(err, runtime.ErrNotCompiled):
			compiled++ // if there is much code on disk, the oldest was removed
			again = compiled == 1
		case errors.As(err, &exited) && !command:
			exits++ // the module may not be the reason; a module that kills workers gets two
			again = exits == 1
		}
		if !again || attempt == attempts || ctx.Err() != nil {
			return nil, err
		}
	}
}

func (p *Pool) startOnce(ctx context.Context, spec runtime.Spec, streams runtime.Streams, isCommand bool) (runtime.Guest, error) {
	w, err := p.reserve(ctx, spec)
	if err != nil {
		return nil, err
	}
	g := newGuest(w, spec.ID, spec.Of)
	if isCommand {
		c, err := startCommand(ctx, g, spec, streams)
		if err != nil {
			w.account.release()
			w.awaitNotice(ctx)
			return nil, err
		}
		return c, nil
	}
	if err := p.runs.add(g); err != nil {
		w.account.release()
		return nil, err
	}
	if err := w.start(ctx, g, spec); err != nil {
		p.runs.remove(g)
		w.account.release()
		w.awaitNotice(ctx)
		return nil, err
	}
	return g, nil
}

// awaitNotice waits until the pool knows that a worker has exited, if it has. Otherwise the next
// attempt would find this worker again.
func (w *worker) awaitNotice(ctx context.Context) {
	if !w.process.exited() {
		return
	}
	select {
	case <-w.exited:
	case <-ctx.Done():
	}
}

// reserve adds a user to the worker that must host a guest. If there is no such worker, it starts
// one.
func (p *Pool) reserve(ctx context.Context, spec runtime.Spec) (*worker, error) {
	// A command must run in the process of its run, even if that is drained, because they share the
	// container's limits, and the command must see what the container's guest sees.
	if run := p.runs.get(spec.Of.Beside); run != nil && run.worker.account.reserveBeside() {
		return run.worker, nil
	}
	s := slot{shard: shardOf(spec, p.cfg.Shards)}
	if spec.Isolated {
		s = slot{pod: spec.Of.Pod}
	}
	for range attempts {
		w, sp, begin := p.workers.reserve(s, spec.Of.Pod)
		if w != nil {
			return w, nil
		}
		if begin {
			p.spawn(s)
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
	return nil, errors.New("workers exit as soon as they are started")
}

// shardOf distributes pods over the shared workers. A command without a pod may go to any worker.
func shardOf(spec runtime.Spec, shards int) int {
	key := spec.Of.Pod
	if key == "" {
		key = spec.ID
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(key)) // it cannot fail
	return int(h.Sum32() % uint32(shards))
}

// errExited means that a worker had exited before it was asked.
var errExited = fmt.Errorf("the worker has exited: %w", runtime.ErrLost)
