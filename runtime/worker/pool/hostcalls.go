package pool

import (
	"context"
	"maps"
	"slices"

	"go.uber.org/zap"

	"github.com/krustlet-go/krustlet-wasi/runtime/worker/workerpb"
)

// HostCalls is how often guests have called each function of their host, in all workers, since the pool is open. No number
// ever falls: a worker that ends leaves what it has told. It waits for a second at most, for what workers say now.
func (p *Pool) HostCalls(ctx context.Context) map[string]uint64 {
	p.mu.Lock()
	workers := slices.Collect(maps.Keys(p.workers))
	p.mu.Unlock()
	askAll(ctx, workers, (*remote).askCalls)
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.called)
}

func (w *remote) askCalls(ctx context.Context) {
	resp, err := w.client.HostCalls(ctx, &workerpb.HostCallsRequest{})
	if err != nil {
		w.log.Debug("a worker does not say how often guests have called their host", zap.Error(err))
		return
	}
	w.pool.noteCalls(w, resp.GetHostCalls(), false)
}

// noteCalls takes in what a worker says; answers may overtake each other. Counting begins with the first list of the worker's
// runs: what it had counted by then, it had counted for an earlier agent.
func (p *Pool) noteCalls(w *remote, now map[string]uint64, listed bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if w.called == nil {
		if listed {
			w.called = map[string]uint64{}
			for function, n := range now {
				if saneCalls(function, n) && len(w.called) < mostFunctions {
					w.called[function] = n
				}
			}
		}
		return
	}
	for function, n := range now {
		_, known := p.called[function]
		if !saneCalls(function, n) || !known && len(p.called) >= mostFunctions {
			continue
		}
		if before := w.called[function]; n > before {
			p.called[function] += n - before
			w.called[function] = n
		}
	}
}
