package wasmtime

import (
	"fmt"

	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/network"
)

// joined is a guest's part in a Network.
type joined struct {
	*network.Network
	requests *requests
	own      bool // the guest is the run, and not a command beside it
}

// joinNetwork makes the Network of a run. A command beside a run has the run's: it may do what the
// run may, and finds what the run has looked up.
func (e *Engine) joinNetwork(spec runtime.Spec) (*joined, error) {
	if spec.Of.Beside != "" {
		if j := e.networkOf(spec.Of.Beside); j != nil {
			return &joined{Network: j.Network, requests: j.requests}, nil
		}
		return nil, errNoRun
	}
	n, err := e.network.New(spec.Of.Pod, spec.Network)
	if err != nil {
		return nil, fmt.Errorf("making the guest's network: %w", err)
	}
	r, err := e.newRequests(n, spec.Network)
	if err != nil {
		n.Close()
		return nil, err
	}
	return &joined{Network: n, requests: r, own: true}, nil
}

// networkOf returns the part that a run has in its Network, or nil if the run has ended.
func (e *Engine) networkOf(run string) *joined {
	e.mu.Lock()
	defer e.mu.Unlock()
	for g := range e.running {
		if g.found.ID != run {
			continue
		}
		g.mu.Lock()
		defer g.mu.Unlock()
		if g.network != nil {
			return g.network
		}
	}
	return nil
}

// endRequests ends the HTTP requests. It is called before the account of their memory is closed.
func (j *joined) endRequests() {
	if j.own {
		j.requests.close()
	}
}

// leave ends what joinNetwork has begun. Commands beside a run have ended before it.
func (j *joined) leave() {
	if j.own {
		j.Close()
	}
}
