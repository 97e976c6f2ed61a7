package pool

import (
	"context"
	"fmt"
	"os"
	"sync"

	"go.uber.org/zap"

	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/worker/wire"
	"github.com/krustlet-go/krustlet-wasi/runtime/worker/workerpb"
)

// Stats implements runtime.Engine: it asks each worker once, and waits for a second at most.
func (p *Pool) Stats(ctx context.Context) map[string]runtime.Stats {
	askAll(ctx, p.hosts(), (*remote).askUsed)
	all := map[string]runtime.Stats{}
	for _, run := range p.Runs() {
		select {
		case <-run.Process.Done():
			continue
		default:
		}
		if used := run.Process.(*process).lastUsed(); used != (runtime.Stats{}) {
			all[run.ID] = used
		}
	}
	return all
}

// askAll asks workers at the same time, for a second at most.
func askAll(ctx context.Context, workers []*remote, ask func(*remote, context.Context)) {
	ctx, cancel := context.WithTimeout(ctx, statsPatience)
	defer cancel()
	var asked sync.WaitGroup
	for _, w := range workers {
		asked.Go(func() { ask(w, ctx) })
	}
	asked.Wait()
}

// hosts are the workers that have guests.
func (p *Pool) hosts() []*remote {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []*remote
	for w := range p.workers {
		if len(w.hosting) > 0 {
			all = append(all, w)
		}
	}
	return all
}

// askUsed brings what is known of the use of a worker's guests up to date.
func (w *remote) askUsed(ctx context.Context) {
	resp, err := w.client.Stats(ctx, &workerpb.StatsRequest{})
	if err != nil {
		w.log.Debug("a worker does not say what its guests use", zap.Error(err))
		return
	}
	for _, s := range resp.GetStats() {
		if r := w.pool.run(s.GetId()); r != nil && r.worker == w {
			r.setUsed(wire.FromStats(s))
		}
	}
}

// run is a run that the pool knows, nil if it does not.
func (p *Pool) run(id string) *process {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.runs[id]
}

// Resident is the memory that the worker processes have, in bytes: what guests have touched of theirs, and all that it takes
// to run them.
func (p *Pool) Resident() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	sum := int64(0)
	for w := range p.workers {
		sum += residentOf(w.info.PID) // one that is just ending has none any more
	}
	return sum
}

func residentOf(pid int) int64 {
	var size, resident int64
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err == nil {
		_, err = fmt.Sscan(string(text), &size, &resident)
	}
	if err != nil {
		return 0
	}
	return resident * int64(os.Getpagesize())
}

// Counts is how many workers live, and how many guests of pods run in them.
func (p *Pool) Counts() (workers, guests int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for w := range p.workers {
		for _, n := range w.hosting {
			guests += n
		}
	}
	return len(p.workers), guests
}
