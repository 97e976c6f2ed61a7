package wasmtime

import (
	"fmt"

	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/network"
)

// joined is a guest's part in a Network.
type joined struct {
	*network.Network
	own bool // the guest is the run, and not a command beside it
}

// joinNetwork makes the Network of a run. A command beside a run has the run's: it may do what the
// run may, and finds what the run has looked up.
func (e *Engine) joinNetwork(spec runtime.Spec) (*joined, error) {
	if spec.Of.Beside != "" {
		if n := e.networkOf(spec.Of.Beside); n != nil {
			return &joined{Network: n}, nil
		}
		return nil, errNoRun
	}
	n, err := e.network.New(spec.Of.Pod, spec.Network)
	if err != nil {
		return nil, fmt.Errorf("making the guest's network: %w", err)
	}
	return &joined{Network: n, own: true}, nil
}

// networkOf returns the Network of a run that has not ended, or nil.
func (e *Engine) networkOf(run string) *network.Network {
	e.mu.Lock()
	defer e.mu.Unlock()
	for g := range e.running {
		if g.found.ID != run {
			continue
		}
		g.mu.Lock()
		defer g.mu.Unlock()
		if g.network != nil {
			return g.network.Network
		}
	}
	return nil
}

// leave ends what joinNetwork has begun. Commands beside a run have ended before it.
func (j *joined) leave() {
	if j.own {
		j.Close()
	}
}
