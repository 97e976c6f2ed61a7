package host

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/worker/wire"
	"github.com/krustlet-go/krustlet-wasi/runtime/worker/workerpb"
)

// runTable has the worker's guests, and the agent that watches the worker. Each method is one step:
// any goroutine may call it, and other methods see either its whole effect or none of it.
type runTable struct {
	ending chan struct{} // closed when the worker will exit: no start begins after that
	end    func()        // closes it
	idle   *idle         // held by each entry, by the agent, and during the start of the worker

	mu      sync.Mutex
	entries map[string]*entry
	watch   uint64   // number of the latest Watch
	agent   *watcher // the agent's Watch, or nil
}

func newRunTable(patience time.Duration) *runTable {
	t := &runTable{ending: make(chan struct{}), entries: map[string]*entry{}}
	t.end = sync.OnceFunc(func() { close(t.ending) })
	t.idle = newIdle(patience, t.expire)
	return t
}

// request is an agent's request for a start.
type request struct {
	spec    runtime.Spec
	command bool   // a command beside a container's run, and not the run itself
	watch   uint64 // for a run: the Watch that its start names
	mark    []byte // for a run: given by the agent
}

// begin adds a start. The returned context ends with ctx, and when the start is cancelled. The
// caller must call begun when the start has succeeded or failed.
func (t *runTable) begin(ctx context.Context, req request) (context.Context, *entry, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	select {
	case <-t.ending:
		return nil, nil, wire.ErrEnding
	default:
	}
	switch {
	case ctx.Err() != nil:
		// The start was cancelled before it began. The Discard that follows a cancelled start may
		// have come first and found no start to undo. But the cancellation comes over the
		// connection before the Discard.
		return nil, nil, ctx.Err()
	case !req.command && req.watch != t.watch:
		return nil, nil, wire.ErrStale
	case t.entries[req.spec.ID] != nil:
		return nil, nil, fmt.Errorf("there is a run %s already", req.spec.ID)
	}
	ctx, cancel := context.WithCancel(ctx)
	e := newEntry(req, cancel)
	t.entries[e.id] = e
	t.idle.hold()
	return ctx, e, nil
}

// begun notes the result of a start. guest is nil if the start failed or panicked. The returned
// time is that of a start that succeeded.
func (t *runTable) begun(e *entry, guest runtime.Guest) time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	defer close(e.begun)
	defer e.cancel()
	if guest == nil {
		e.removeFrom(t.entries, t.idle)
		return time.Time{}
	}
	e.guest, e.startedAt = guest, time.Now()
	if e.unwanted {
		guest.Stop(0)
	}
	return e.startedAt
}

// ended notes that a guest has ended, and tells the agent.
func (t *runTable) ended(e *entry) {
	exit := e.guest.Exit()
	t.mu.Lock()
	defer t.mu.Unlock()
	e.exit = &exit
	close(e.ended)
	switch {
	case e.command: // its Exec still runs, and removes it
	case e.unwanted:
		e.guest.Forget()
		e.removeFrom(t.entries, t.idle)
	case t.agent != nil:
		t.agent.add(e.message())
	}
}

// removeCommand removes a command that has ended, and returns its end.
func (t *runTable) removeCommand(e *entry) *workerpb.Run {
	t.mu.Lock()
	defer t.mu.Unlock()
	e.guest.Forget()
	e.removeFrom(t.entries, t.idle)
	return e.message()
}

// discard undoes a start, and stops the guest if it was started. The channel is closed when nothing
// of it is left.
func (t *runTable) discard(id string) <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.entries[id]
	if e == nil {
		nothing := make(chan struct{})
		close(nothing)
		return nothing
	}
	e.unwanted = true
	e.cancel()
	switch {
	case e.exit != nil && !e.command:
		e.guest.Forget()
		e.removeFrom(t.entries, t.idle)
	case e.guest != nil:
		e.guest.Stop(0)
	}
	return e.removed
}

// forget removes a run that has ended. It has no effect if there is no such run.
func (t *runTable) forget(id string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if e := t.entries[id]; e != nil && e.exit != nil && !e.command {
		e.guest.Forget()
		e.removeFrom(t.entries, t.idle)
	}
}

// superseded reports whether there is a newer Watch than the given one.
func (t *runTable) superseded(watch uint64) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return watch != t.watch
}

// guest is the guest of an entry. It is nil if there is no entry, or while the guest is being
// started.
func (t *runTable) guest(id string) runtime.Guest {
	t.mu.Lock()
	defer t.mu.Unlock()
	if e := t.entries[id]; e != nil {
		return e.guest
	}
	return nil
}

// guests are all started guests, by ID.
func (t *runTable) guests() map[string]runtime.Guest {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := map[string]runtime.Guest{}
	for id, e := range t.entries {
		if e.guest != nil {
			all[id] = e.guest
		}
	}
	return all
}

// enter makes w the agent's Watch and returns its number. It cancels the starts that an earlier
// agent requested, and returns them. The caller must wait for them before it calls list.
func (t *runTable) enter(w *watcher) (number uint64, starts []*entry, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	select {
	case <-t.ending:
		return 0, nil, status.Error(codes.Unavailable, wire.ErrEnding.Error())
	default:
	}
	if t.agent != nil {
		close(t.agent.replaced)
	} else {
		t.idle.hold()
	}
	t.agent = w
	t.watch++
	for _, e := range t.entries {
		if e.guest == nil && !e.command {
			e.cancel()
			starts = append(starts, e)
		}
	}
	return t.watch, starts, nil
}

// list is all runs of pods. From then on, w gets the runs that end. ok is false if there is a newer
// Watch. The start times come from the engine, because a run's exit has the same time.
func (t *runTable) list(w *watcher, engine []runtime.Run) (runs []*workerpb.Run, ok bool) {
	began := map[string]time.Time{}
	for _, r := range engine {
		began[r.ID] = r.StartedAt
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.agent != w {
		return nil, false
	}
	w.take() // they are in the list
	for _, e := range t.entries {
		if e.command || e.guest == nil || e.unwanted {
			continue
		}
		if at, ok := began[e.id]; ok {
			e.startedAt = at
		}
		runs = append(runs, e.message())
	}
	return runs, true
}

// leave ends an agent's Watch.
func (t *runTable) leave(w *watcher) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.agent == w {
		t.agent = nil
		t.idle.release()
	}
}

// shutdown makes the worker exit, unless it has entries and force is not set. It reports whether
// the worker exits.
func (t *runTable) shutdown(force bool) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.entries) > 0 && !force {
		return false
	}
	t.end()
	return true
}

// expire makes the worker exit if it has no entries and no agent.
func (t *runTable) expire() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.entries) == 0 && t.agent == nil {
		t.end()
	}
}

// endAll kills all guests and waits for them, but not longer than patience. It reports whether all
// have ended.
func (t *runTable) endAll(patience time.Duration) bool {
	timeout := time.After(patience)
	for _, e := range t.stopAll() {
		select {
		case <-e.begun:
		case <-timeout:
			return false
		}
		if e.guest == nil {
			continue
		}
		e.guest.Stop(0) // its start may have succeeded although it was cancelled
		select {
		case <-e.ended:
		case <-timeout:
			return false
		}
	}
	return true
}

// stopAll refuses further starts, cancels running ones, and kills all guests.
func (t *runTable) stopAll() []*entry {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.end()
	t.idle.stop()
	all := slices.Collect(maps.Values(t.entries))
	for _, e := range all {
		e.cancel()
		if e.guest != nil {
			e.guest.Stop(0)
		}
	}
	return all
}
