package pool

import (
	"context"
	"maps"
	"sync"

	"go.uber.org/zap"

	"github.com/krustlet-go/krustlet-wasi/runtime/worker/workerpb"
)

// HostCalls returns how often guests have called each function of their host, in all workers, since
// the pool was opened. The numbers never decrease: the calls that a worker reported still count
// after its exit. HostCalls waits at most a second for the workers' current numbers.
func (p *Pool) HostCalls(ctx context.Context) map[string]uint64 {
	askAll(ctx, p.workers.all(), (*worker).askCalls)
	return p.calls.all()
}

func (w *worker) askCalls(ctx context.Context) {
	resp, err := w.client.HostCalls(ctx, &workerpb.HostCallsRequest{})
	if err != nil {
		w.log.Debug("a worker does not say how often guests have called their host", zap.Error(err))
		return
	}
	w.pool.calls.add(w.told.since(resp.GetHostCalls()))
}

// callCounter computes the new calls from a worker's reports, which are sums since its start.
type callCounter struct {
	mu     sync.Mutex
	before map[string]uint64 // nil until the worker has listed its runs
}

// listed returns the new calls in a worker's list. Counting begins with the first list, because an
// earlier agent has counted the calls before it.
func (c *callCounter) listed(now map[string]uint64) map[string]uint64 {
	if c.first(now) {
		return nil
	}
	return c.since(now)
}

// first stores the first list. It reports whether this was the first.
func (c *callCounter) first(now map[string]uint64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.before != nil {
		return false
	}
	c.before = map[string]uint64{}
	for function, n := range now {
		if saneCalls(function, n) && len(c.before) < mostFunctions {
			c.before[function] = n
		}
	}
	return true
}

// since returns the new calls since the last report. Reports may arrive in a different order.
func (c *callCounter) since(now map[string]uint64) map[string]uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	news := map[string]uint64{}
	for function, n := range now {
		before, known := c.before[function]
		if c.before == nil || !saneCalls(function, n) || !known && len(c.before) >= mostFunctions || n <= before {
			continue
		}
		news[function] = n - before
		c.before[function] = n
	}
	return news
}

// callSum is the sum of the calls of all workers' guests.
type callSum struct {
	mu  sync.Mutex
	sum map[string]uint64
}

func newCallSum() *callSum { return &callSum{sum: map[string]uint64{}} }

func (s *callSum) add(news map[string]uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for function, n := range news {
		if _, known := s.sum[function]; known || len(s.sum) < mostFunctions {
			s.sum[function] += n
		}
	}
}

func (s *callSum) all() map[string]uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.sum)
}
