package wasmtime

import (
	"context"
	"time"

	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// beside is how sessions and the run that they are beside (runtime.Origin.Beside) know each other.
type beside struct {
	run      *process              // of a session: the run that it counts for, nil if it is not there
	sessions map[*process]struct{} // of a run: those that go on. The run's mutex guards it, and
	spent    time.Duration         // the processor time of those that have ended.
}

// Stats implements runtime.Engine. It never waits for long.
func (e *Engine) Stats(context.Context) map[string]runtime.Stats {
	all := map[string]runtime.Stats{}
	for _, run := range e.Runs() {
		select {
		case <-run.Process.Done():
		default:
			all[run.ID] = run.Process.Stats()
		}
	}
	return all
}

// Stats implements runtime.Process.
func (p *process) Stats() runtime.Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.guest != nil {
		p.sample(p.guest)
	}
	all := p.used
	all.CPU += p.beside.spent
	for s := range p.beside.sessions { // a session has none of its own, so this ends
		used := s.Stats()
		all.CPU += used.CPU
		all.Memory += used.Memory
	}
	return all
}

// join counts a session in with the run that it is beside, if that is among those that run: their memory is bounded together.
func (p *process) join(running map[*process]struct{}) {
	id := p.found.Of.Beside
	if id == "" {
		return
	}
	for run := range running {
		if run.found.ID != id || run == p {
			continue
		}
		p.beside.run = run
		run.mu.Lock()
		defer run.mu.Unlock()
		if run.beside.sessions == nil {
			run.beside.sessions = map[*process]struct{}{}
		}
		run.beside.sessions[p] = struct{}{}
		p.account.close()
		p.account = run.account.share()
		return
	}
}

// leave ends what join began: the session's processor time stays with the run.
func (p *process) leave() {
	run := p.beside.run
	if run == nil {
		return
	}
	used := p.Stats()
	run.mu.Lock()
	defer run.mu.Unlock()
	delete(run.beside.sessions, p)
	run.beside.spent += used.CPU
}
