package wasmtime

import (
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// Runs implements runtime.Engine.
func (e *Engine) Runs() []runtime.Run {
	e.mu.Lock()
	defer e.mu.Unlock()
	all := make([]runtime.Run, 0, len(e.runs))
	for p := range e.runs {
		all = append(all, p.found)
	}
	return all
}

// enlist keeps a run of a pod for Runs, until it is forgotten. It has started.
func (e *Engine) enlist(p *process) {
	if p.found.Of.Container == "" {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.runs[p] = struct{}{}
}

// Forget implements runtime.Process.
func (p *process) Forget() {
	select {
	case <-p.done:
		p.engine.mu.Lock()
		defer p.engine.mu.Unlock()
		delete(p.engine.runs, p)
	default:
	}
}

// shed lets go of what is not needed once the guest has ended: its owner may take long to forget it. The mutex is held.
func (p *process) shed() {
	p.module, p.hosted, p.output, p.out, p.stdin, p.timer, p.cancel, p.log = nil, nil, nil, nil, nil, nil, nil, nil
}
