package wasmtime

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// beside connects a run with the commands beside it (runtime.Origin.Beside).
type beside struct {
	run      *guest              // for a command: the run that it counts for; nil for other guests
	commands map[*guest]struct{} // for a run: commands that have not ended; the run's mutex guards it and the fields below
	spent    time.Duration       // processor time of the commands that have ended
	closed   bool                // whether no more commands may start
}

// Stats implements runtime.Engine. It never blocks for long.
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
	for c := range g.beside.commands { // a command has no commands, so the recursion ends
		used := c.Stats()
		all.CPU += used.CPU
		all.Memory += used.Memory
	}
	return all
}

// errNoRun is the error of a command whose run has ended.
var errNoRun = errors.New("the container has ended")

// join adds a command to the run beside which it runs. That run must be among the running ones. The
// two have one bound of memory.
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
	g.account = run.account.share() // the run closes its own share at its end
	return nil
}

// endCommands kills the commands beside a run that has ended, and waits for them. Their memory
// counts for the limit of this run, and the container's next run has its own account.
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

// leave reverts join. The command's processor time still counts for the run.
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
