package pool

import (
	"fmt"
	"sync"

	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/worker/wire"
	"github.com/krustlet-go/krustlet-wasi/runtime/worker/workerpb"
)

// book has the runs in all workers that the agent knows. It does not have commands.
type book struct {
	mu      sync.Mutex
	runs    map[string]*guest   // by ID, from the beginning of the start until Forget
	refused map[string]struct{} // IDs of abandoned starts, until their worker knows it
}

func newBook() *book {
	return &book{runs: map[string]*guest{}, refused: map[string]struct{}{}}
}

// add adds a run that will be started.
func (b *book) add(g *guest) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.runs[g.id] != nil {
		return fmt.Errorf("there is a run %s already", g.id)
	}
	b.runs[g.id] = g
	return nil
}

// remove removes a run. It reports whether the run was in the book.
func (b *book) remove(g *guest) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.runs[g.id] != g {
		return false
	}
	delete(b.runs, g.id)
	return true
}

// get is the run with this ID, or nil.
func (b *book) get(id string) *guest {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.runs[id]
}

// refuse makes the book ignore a run that a worker may list.
func (b *book) refuse(id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.refused[id] = struct{}{}
}

// allow reverts refuse.
func (b *book) allow(id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.refused, id)
}

// found is the run for a message in a worker's list. If the book does not have the run, it is
// added. The result is nil if the run was refused, or belongs to another worker.
func (b *book) found(w *worker, m *workerpb.Run) *guest {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, ok := b.refused[m.GetId()]; ok {
		return nil
	}
	g := b.runs[m.GetId()]
	if g == nil {
		g = newGuest(w, m.GetId(), wire.FromOrigin(m.GetOf()))
		b.runs[g.id] = g
		w.account.hold()
	}
	if g.worker != w {
		return nil
	}
	return g
}

// of returns a worker's runs that have started.
func (b *book) of(w *worker) []*guest {
	b.mu.Lock()
	defer b.mu.Unlock()
	var all []*guest
	for _, g := range b.runs {
		if g.worker == w && g.hasRun() {
			all = append(all, g)
		}
	}
	return all
}

// list is all runs that have started.
func (b *book) list() []runtime.Run {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []runtime.Run
	for _, g := range b.runs {
		if g.hasRun() {
			out = append(out, runtime.Run{ID: g.id, Of: g.of, StartedAt: g.began(), Guest: g})
		}
	}
	return out
}

// admit reports whether a run in a worker's list really belongs to this worker: this agent knows
// the run there, or the run has the mark of an earlier agent. A worker without a key is believed
// only about runs that no other worker is known to have.
func (b *book) admit(w *worker, m *workerpb.Run) bool {
	g := b.get(m.GetId())
	switch {
	case g != nil:
		return g.worker == w
	case w.marks == nil:
		return saneRun(m)
	}
	return w.marks.made(m.GetMark(), m.GetId(), wire.FromOrigin(m.GetOf()))
}

// sync takes over the complete list of a worker's runs, after admit.
func (b *book) sync(w *worker, list []*workerpb.Run) {
	listed := map[string]bool{}
	for _, m := range list {
		listed[m.GetId()] = true
		g := b.found(w, m)
		if g == nil {
			continue
		}
		g.noteStarted(wire.FromTime(m.GetStartedAt()))
		if m.GetExit() != nil {
			g.noteExit(wire.FromExit(m.GetExit()), m.GetStats())
		}
	}
	for _, g := range b.of(w) {
		if !listed[g.id] {
			g.noteExit(g.killed(137, "the worker process that hosted the container does not know it any more"), nil)
		}
	}
}

// ended notes the end of a run that its worker reports.
func (b *book) ended(w *worker, m *workerpb.Run) {
	if g := b.get(m.GetId()); g != nil && g.worker == w {
		g.noteExit(wire.FromExit(m.GetExit()), m.GetStats())
	}
}
