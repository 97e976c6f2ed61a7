package pool

import (
	"context"
	"sync"
	"time"

	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/worker/wire"
	"github.com/krustlet-go/krustlet-wasi/runtime/worker/workerpb"
)

// guest is the agent's view of a guest in a worker. It implements runtime.Guest.
type guest struct {
	worker *worker
	id     string
	of     runtime.Origin

	done chan struct{}

	mu        sync.Mutex
	running   bool // it was started; it may have ended
	counted   bool // it is in its worker's account
	startedAt time.Time
	exit      *runtime.Exit // set before done is closed
	used      runtime.Stats // the last known values
}

func newGuest(w *worker, id string, of runtime.Origin) *guest {
	return &guest{worker: w, id: id, of: of, done: make(chan struct{})}
}

// Done implements runtime.Guest.
func (g *guest) Done() <-chan struct{} { return g.done }

// Exit implements runtime.Guest.
func (g *guest) Exit() runtime.Exit {
	g.mu.Lock()
	defer g.mu.Unlock()
	return *g.exit
}

// hasEnded reports whether the guest has ended.
func (g *guest) hasEnded() bool {
	select {
	case <-g.done:
		return true
	default:
		return false
	}
}

// Stop implements runtime.Guest.
func (g *guest) Stop(grace time.Duration) {
	if !g.hasEnded() {
		g.worker.errands.stop(g.id, time.Now().Add(grace))
	}
}

// Forget implements runtime.Guest. It removes a run that has ended, here and in its worker.
func (g *guest) Forget() {
	if !g.hasEnded() || !g.worker.pool.runs.remove(g) {
		return // it runs, is a command, or was already forgotten
	}
	g.worker.errands.forget(g.id) // before release, because a worker with errands is not shut down
	g.worker.account.release()
}

// statsPatience bounds how long Stats waits for the worker.
const statsPatience = time.Second

// Stats implements runtime.Guest. It waits for the worker, but only for a short time.
func (g *guest) Stats() runtime.Stats {
	if g.hasEnded() {
		return g.lastUsed()
	}
	ctx, cancel := context.WithTimeout(context.Background(), statsPatience)
	defer cancel()
	resp, err := g.worker.client.Stats(ctx, &workerpb.StatsRequest{Ids: []string{g.id}})
	if err == nil && len(resp.GetStats()) == 1 {
		g.setUsed(wire.FromStats(resp.GetStats()[0]))
	}
	return g.lastUsed()
}

func (g *guest) lastUsed() runtime.Stats {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.used
}

func (g *guest) setUsed(used runtime.Stats) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.exit == nil {
		g.used = used
	}
}

// hasRun reports whether the guest was started; it may have ended.
func (g *guest) hasRun() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.running
}

// began is when the guest was started, or zero before that.
func (g *guest) began() time.Time {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.startedAt
}

// noteBegun notes when a command was started. Commands are not in the account of a pod's guests.
func (g *guest) noteBegun(at time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.startedAt = at
}

// noteStarted notes that a run was started. If its worker has exited in the meantime, the run has
// ended, too.
func (g *guest) noteStarted(at time.Time) {
	g.mu.Lock()
	g.running, g.startedAt = true, at
	if g.exit == nil && !g.counted {
		g.counted = true
		g.worker.account.began(g.of.Pod)
	}
	g.mu.Unlock()
	// A worker's exit is noted before its runs are ended. So either this code sees the exit, or the
	// code that ends the runs sees this run.
	if cause := g.worker.account.exit(); cause != nil {
		g.noteExit(cause.exit(g), nil)
	}
}

// noteExit notes the guest's exit. Only the first call has an effect.
func (g *guest) noteExit(exit runtime.Exit, used *workerpb.Stats) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.exit != nil {
		return
	}
	g.exit = &exit
	if used != nil {
		g.used = wire.FromStats(used)
	}
	if g.counted {
		g.counted = false
		g.worker.account.ended(g.of.Pod)
	}
	g.worker.account.touch(g.of.Pod, time.Now())
	close(g.done)
}

// killed is the exit of a guest that was lost.
func (g *guest) killed(code int32, message string) runtime.Exit {
	return runtime.Exit{Code: code, Reason: runtime.Error, Message: message, StartedAt: g.began(), FinishedAt: time.Now()}
}
