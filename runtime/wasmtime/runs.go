package wasmtime

import "github.com/krustlet-go/krustlet-wasi/runtime"

// Runs implements runtime.Engine.
func (e *Engine) Runs() []runtime.Run {
	e.mu.Lock()
	defer e.mu.Unlock()
	all := make([]runtime.Run, 0, len(e.runs))
	for g := range e.runs {
		all = append(all, g.found)
	}
	return all
}

// enlist adds a started run of a pod to Runs until Forget.
func (e *Engine) enlist(g *guest) {
	if g.found.Of.Container == "" {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.runs[g] = struct{}{}
}

// Forget implements runtime.Guest.
func (g *guest) Forget() {
	select {
	case <-g.done:
		g.engine.mu.Lock()
		defer g.engine.mu.Unlock()
		delete(g.engine.runs, g)
	default:
	}
}

// shed frees the memory that the guest does not need after its end, because its owner may call
// Forget much later. The caller holds the mutex.
func (g *guest) shed() {
	g.work, g.output, g.out, g.stdin, g.timer, g.cancel, g.log, g.network = nil, nil, nil, nil, nil, nil, nil, nil
}
