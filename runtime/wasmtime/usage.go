package wasmtime

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// beside is how commands and the run that they are beside (runtime.Origin.Beside) know each other.
type beside struct {
	run      *guest              // of a command: the run that it counts for; nil for other guests
	commands map[*guest]struct{} // of a run: those that have not ended. The run's mutex guards it,
	spent    time.Duration       // the processor time of those that have ended,
	closed   bool                // and that no more may begin.
}

// Stats implements runtime.Engine. It never waits for long.
func (e *Engine) Stats(context.Context) map[string]runtime.Stats {
	all := map[string]runtime.Stats{}
	for _, run := range e.Runs() {
		select {
		case <-run.Guest.Done():
		default:
			all[run.ID] = run.Guest.Stats()
		}
	}
	return all
}

// Stats implements runtime.Guest.
func (g *guest) Stats() runtime.Stats {
	g.mu.Lock()
	defer g.mu.Unlock()
	all := g.used
	if !g.closed {
		all = g.work.stats()
	}
	all.CPU += g.beside.spent
	for c := range g.beside.commands { // a command has none of its own, so this ends
		used := c.Stats()
		all.CPU += used.CPU
		all.Memory += used.Memory
	}
	return all
}

// errNoRun is the error of a command whose run has ended.
var errNoRun = errors.New("the container has ended")

// join adds a command to the run that it is beside, which must be among those that run: their
// memory is bounded together.
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
	if run.beside.closed {
		return errNoRun
	}
	if run.beside.commands == nil {
		run.beside.commands = map[*guest]struct{}{}
	}
	run.beside.commands[g] = struct{}{}
	g.beside.run = run
	g.account.close()
	g.account = run.account.share() // the run closes its own share when it ends
	return nil
}

// endCommands kills the commands beside a run that has ended, and waits for them. What they have
// taken counts to the limit of this run, and the container's next run has an account of its own.
func (g *guest) endCommands() {
	g.mu.Lock()
	g.beside.closed = true
	commands := slices.Collect(maps.Keys(g.beside.commands))
	g.mu.Unlock()
	for _, c := range commands {
		c.kill()
	}
	for _, c := range commands {
		<-c.done
	}
}

// leave ends what join began. The command's processor time stays with the run.
func (g *guest) leave() {
	run := g.beside.run
	if run == nil {
		return
	}
	used := g.Stats()
	run.mu.Lock()
	defer run.mu.Unlock()
	delete(run.beside.commands, g)
	run.beside.spent += used.CPU
}
