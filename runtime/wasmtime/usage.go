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
	run      *guest              // of a session: the run that it counts for, nil if it is not there
	sessions map[*guest]struct{} // of a run: those that go on. The run's mutex guards it,
	spent    time.Duration       // the processor time of those that have ended,
	over     bool                // and that there will be no more.
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
func (g *guest) Stats() runtime.Stats {
	g.mu.Lock()
	defer g.mu.Unlock()
	all := g.used
	if !g.closed {
		all = g.work.stats()
	}
	all.CPU += g.beside.spent
	for s := range g.beside.sessions { // a session has none of its own, so this ends
		used := s.Stats()
		all.CPU += used.CPU
		all.Memory += used.Memory
	}
	return all
}

// errNoRun is the error of a session whose run is over.
var errNoRun = errors.New("the container has ended")

// join counts a session in with the run that it is beside, which must be among those that run: their memory is bounded together.
func (g *guest) join(running map[*guest]struct{}) error {
	id := g.found.Of.Beside
	if id == "" {
		return nil
	}
	for run := range running {
		if run.found.ID == id {
			return g.joinRun(run)
		}
	}
	return errNoRun
}

func (g *guest) joinRun(run *guest) error {
	run.mu.Lock()
	defer run.mu.Unlock()
	if run.beside.over {
		return errNoRun
	}
	if run.beside.sessions == nil {
		run.beside.sessions = map[*guest]struct{}{}
	}
	run.beside.sessions[g] = struct{}{}
	g.beside.run = run
	g.account.close()
	g.account = run.account.share() // the run's own part is closed when it is over
	return nil
}

// endSessions kills the sessions beside a run that has ended, and waits for them: what they have taken counts to its limit, and
// the container's next run has one of its own.
func (g *guest) endSessions() {
	g.mu.Lock()
	g.beside.over = true
	sessions := slices.Collect(maps.Keys(g.beside.sessions))
	g.mu.Unlock()
	for _, s := range sessions {
		s.kill()
	}
	for _, s := range sessions {
		<-s.done
	}
}

// leave ends what join began: the session's processor time stays with the run.
func (g *guest) leave() {
	run := g.beside.run
	if run == nil {
		return
	}
	used := g.Stats()
	run.mu.Lock()
	defer run.mu.Unlock()
	delete(run.beside.sessions, g)
	run.beside.spent += used.CPU
}
