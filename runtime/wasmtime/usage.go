package wasmtime

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// beside is how sessions and the run that they are beside (runtime.Origin.Beside) know each other.
type beside struct {
	run      *process              // of a session: the run that it counts for, nil if it is not there
	sessions map[*process]struct{} // of a run: those that go on. The run's mutex guards it,
	spent    time.Duration         // the processor time of those that have ended,
	over     bool                  // and that there will be no more.
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

// errNoRun is the error of a session whose run is over.
var errNoRun = errors.New("the container has ended")

// join counts a session in with the run that it is beside, which must be among those that run: their memory is bounded together.
func (p *process) join(running map[*process]struct{}) error {
	id := p.found.Of.Beside
	if id == "" {
		return nil
	}
	for run := range running {
		if run.found.ID == id {
			return p.joinRun(run)
		}
	}
	return errNoRun
}

func (p *process) joinRun(run *process) error {
	run.mu.Lock()
	defer run.mu.Unlock()
	if run.beside.over {
		return errNoRun
	}
	if run.beside.sessions == nil {
		run.beside.sessions = map[*process]struct{}{}
	}
	run.beside.sessions[p] = struct{}{}
	p.beside.run = run
	p.account.close()
	p.account = run.account.share() // the run's own part is closed when it is over
	return nil
}

// endSessions kills the sessions beside a run that has ended, and waits for them: what they have taken counts to its limit, and
// the container's next run has one of its own.
func (p *process) endSessions() {
	p.mu.Lock()
	p.beside.over = true
	sessions := slices.Collect(maps.Keys(p.beside.sessions))
	p.mu.Unlock()
	for _, s := range sessions {
		s.kill()
	}
	for _, s := range sessions {
		<-s.done
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
