package pool

import (
	"context"
	"sync"
	"time"

	"github.com/krustlet-go/krustlet-wasi/runtime/worker/workerpb"
)

// errands are the calls that a worker must get at some time. They are kept until they succeed.
type errands struct {
	wake chan struct{} // has a token when there is something to do

	mu      sync.Mutex
	stops   map[string]time.Time // when guests must be killed
	forgets map[string]struct{}
}

func newErrands() *errands {
	return &errands{wake: make(chan struct{}, 1), stops: map[string]time.Time{}, forgets: map[string]struct{}{}}
}

func (e *errands) poke() {
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

// stop makes the worker kill a guest at the deadline, or at an earlier deadline of a previous call.
func (e *errands) stop(id string, deadline time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if before, ok := e.stops[id]; !ok || deadline.Before(before) {
		e.stops[id] = deadline
	}
	e.poke()
}

func (e *errands) forget(id string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.forgets[id] = struct{}{}
	e.poke()
}

// pending reports whether there is something to do.
func (e *errands) pending() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.stops)+len(e.forgets) > 0
}

func (e *errands) take() (map[string]time.Time, map[string]struct{}) {
	e.mu.Lock()
	defer e.mu.Unlock()
	stops, forgets := e.stops, e.forgets
	e.stops, e.forgets = map[string]time.Time{}, map[string]struct{}{}
	return stops, forgets
}

// callPatience bounds calls that a worker answers at once.
const callPatience = 10 * time.Second

// agentPatience bounds the last calls when the agent ends, and the last reads after a worker has
// exited.
const agentPatience = 2 * time.Second

// run sends the worker all calls. If it fails, it keeps all of them for the next time.
func (e *errands) run(ctx context.Context, client workerpb.WorkerClient) error {
	ctx, cancel := context.WithTimeout(ctx, callPatience)
	defer cancel()
	stops, forgets := e.take()
	err := sendStops(ctx, client, stops)
	if err == nil {
		stops = nil
		err = sendForgets(ctx, client, forgets)
	}
	if err == nil {
		return nil
	}
	for id, deadline := range stops {
		e.stop(id, deadline)
	}
	for id := range forgets {
		e.forget(id)
	}
	return err
}

func sendStops(ctx context.Context, client workerpb.WorkerClient, stops map[string]time.Time) error {
	if len(stops) == 0 {
		return nil
	}
	req := &workerpb.StopRequest{}
	for id, deadline := range stops {
		req.Guests = append(req.Guests, &workerpb.StopRequest_Guest{Id: id, Grace: int64(max(0, time.Until(deadline)))})
	}
	_, err := client.Stop(ctx, req)
	return err
}

func sendForgets(ctx context.Context, client workerpb.WorkerClient, forgets map[string]struct{}) error {
	if len(forgets) == 0 {
		return nil
	}
	req := &workerpb.ForgetRequest{}
	for id := range forgets {
		req.Ids = append(req.Ids, id)
	}
	_, err := client.Forget(ctx, req)
	return err
}
