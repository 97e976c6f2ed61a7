package pool

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"go.uber.org/zap"

	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/filetree"
	"github.com/krustlet-go/krustlet-wasi/runtime/worker/wire"
	"github.com/krustlet-go/krustlet-wasi/runtime/worker/workerpb"
)

// This file is what the pool knows of runs. All of it needs, or takes, the pool's lock.

// admit reports whether a run that a worker tells of is its own: one that this agent knows there, or one with the mark of an earlier
// agent. A worker that has no marks is believed what no other is known to have.
func (p *Pool) admit(w *remote, m *workerpb.Run) bool {
	p.mu.Lock()
	r := p.runs[m.GetId()]
	p.mu.Unlock()
	switch of := wire.FromOrigin(m.GetOf()); {
	case r != nil:
		return r.worker == w
	case w.marks == nil:
		return saneRun(m)
	default:
		return w.marks.made(m.GetMark(), m.GetId(), of)
	}
}

// sync takes over the complete list of a worker's runs, which were admitted.
func (p *Pool) sync(w *remote, build string, list []*workerpb.Run) {
	p.mu.Lock()
	defer p.mu.Unlock()
	w.draining = w.draining || build != p.cfg.Build
	known := map[string]bool{}
	for _, m := range list {
		known[m.GetId()] = true
		if _, ok := p.refused[m.GetId()]; ok {
			continue
		}
		r := p.runs[m.GetId()]
		if r == nil {
			r = newProcess(w, m.GetId(), wire.FromOrigin(m.GetOf()))
			p.runs[r.id] = r
			w.users++
		}
		if r.worker != w {
			continue // admit and this are not one step
		}
		p.started(r, wire.FromTime(m.GetStartedAt()))
		if m.GetExit() != nil {
			p.end(r, wire.FromExit(m.GetExit()), m.GetStats())
		}
	}
	for id, r := range p.runs {
		if r.worker == w && r.running && !known[id] {
			p.end(r, killed(r, 137, "the worker process that hosted the container does not know it any more"), nil)
		}
	}
}

// ended notes the end of a run.
func (p *Pool) ended(w *remote, m *workerpb.Run) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r := p.runs[m.GetId()]; r != nil && r.worker == w {
		p.end(r, wire.FromExit(m.GetExit()), m.GetStats())
	}
}

// exit is the exit of a guest that ended with its worker.
func (e *deathError) exit(r *process) runtime.Exit {
	return killed(r, e.how.exitCode(), e.Error())
}

// killed is the exit of a guest that was lost.
func killed(r *process, code int32, message string) runtime.Exit {
	return runtime.Exit{Code: code, Reason: runtime.Error, Message: message, StartedAt: r.startedAt, FinishedAt: time.Now()}
}

// enter notes a run that is about to start. It takes over the place that the run has in its worker.
func (p *Pool) enter(r *process) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.runs[r.id] != nil {
		return fmt.Errorf("there is a run %s already", r.id)
	}
	p.runs[r.id] = r
	return nil
}

// started notes that a guest runs, or ran.
func (p *Pool) started(r *process, at time.Time) {
	r.running, r.startedAt = true, at
	if r.worker.cause != nil {
		p.end(r, r.worker.cause.exit(r), nil)
	}
	select {
	case <-r.done:
	default:
		if !r.hosted {
			r.hosted = true
			r.worker.hosting[r.of.Pod]++
		}
	}
}

// end notes how a guest ended, once.
func (p *Pool) end(r *process, exit runtime.Exit, used *workerpb.Stats) {
	if r.end(exit, used) && r.hosted {
		r.hosted = false
		if r.worker.hosting[r.of.Pod]--; r.worker.hosting[r.of.Pod] == 0 {
			delete(r.worker.hosting, r.of.Pod)
		}
	}
}

// forget drops a run that has ended, here and in its worker.
func (p *Pool) forget(r *process) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.runs[r.id] != r {
		return // a session, or it was forgotten before
	}
	delete(p.runs, r.id)
	r.worker.errands.forget(r.id)
	p.leave(r.worker)
}

// leave gives a place in a worker back.
func (p *Pool) leave(w *remote) {
	if w.users--; w.users == 0 {
		w.empty = time.Now()
		w.errands.poke() // it may be of no more use
	}
}

// drain keeps new guests away from a worker.
func (p *Pool) drain(w *remote) {
	p.mu.Lock()
	defer p.mu.Unlock()
	w.draining = true
}

// retireAt is when the worker is of no more use, the zero time if it is of use.
func (p *Pool) retireAt(w *remote) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case w.users > 0 || w.closing:
		return time.Time{}
	case w.draining:
		return w.empty
	case w.info.Isolated:
		return w.empty.Add(retirement)
	}
	return time.Time{}
}

// closing keeps new guests away from a worker that is of no more use. It reports whether it is.
func (p *Pool) closing(w *remote) bool {
	at := p.retireAt(w)
	p.mu.Lock()
	defer p.mu.Unlock()
	if at.IsZero() || time.Now().Before(at) || w.users > 0 || w.errands.pending() {
		return false
	}
	w.closing = true
	return true
}

// reopen takes closing back.
func (p *Pool) reopen(w *remote) {
	p.mu.Lock()
	defer p.mu.Unlock()
	w.closing = false
}

// bury ends all that a worker hosted, which is dead, and removes its folder.
func (p *Pool) bury(w *remote, how ending) {
	how = how.withCrash(w.dir)
	how.starved = how.signal == syscall.SIGKILL && p.cfg.Groups != nil && p.cfg.Groups.OutOfMemory(filepath.Base(w.dir))
	p.mu.Lock()
	w.cause = &deathError{pid: w.info.PID, how: how}
	delete(p.workers, w)
	expected := w.closing || w.users == 0
	for _, r := range p.runs {
		if r.worker == w && r.running {
			p.end(r, w.cause.exit(r), nil)
		}
	}
	p.mu.Unlock()
	w.link.lose(w.cause)
	close(w.dead)
	if !expected {
		w.log.Error("a worker has died", zap.Error(w.cause), zap.String("said", lastWords(w.dir)))
	}
	p.removeFolder(w.dir)
}

// removeFolder removes the folder of a worker that is dead, and its control group.
func (p *Pool) removeFolder(dir string) {
	if p.cfg.Groups != nil {
		if err := p.cfg.Groups.Remove(filepath.Base(dir)); err != nil {
			p.cfg.Log.Warn("the control group of a worker that has ended stays", zap.Error(err))
		}
	}
	if err := removeFolder(dir); err != nil {
		p.cfg.Log.Warn("the folder of a worker that has ended stays", zap.Error(err))
	}
}

// removeFolder removes a worker's folder, and then what lies beside it.
func removeFolder(dir string) error {
	if err := filetree.Remove(context.Background(), dir); err != nil {
		return err
	}
	var errs []error
	for _, suffix := range []string{wire.KeySuffix, wire.RecordSuffix} {
		if err := os.Remove(dir + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// isRunning tells whether a run has been seen to run.
func (p *Pool) isRunning(r *process) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return r.running
}

// noteStarted notes the success of a start.
func (p *Pool) noteStarted(r *process, at int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.started(r, wire.FromTime(at))
}

// leaveRun drops a run that did not start.
func (p *Pool) leaveRun(r *process) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.runs, r.id)
	p.leave(r.worker)
}

// giveBack gives a place in a worker back.
func (p *Pool) giveBack(w *remote) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.leave(w)
}
