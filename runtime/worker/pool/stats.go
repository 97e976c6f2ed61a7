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

// Stats implements runtime.Engine. It asks each worker once, and waits at most a second.
func (p *Pool) Stats(ctx context.Context) map[string]runtime.Stats {
	var hosts []*worker
	for _, w := range p.workers.all() {
		if w.account.guests() > 0 {
			hosts = append(hosts, w)
		}
	}
	askAll(ctx, hosts, (*worker).askUsed)
	all := map[string]runtime.Stats{}
	for _, run := range p.Runs() {
		g := run.Guest.(*guest)
		if used := g.lastUsed(); !g.hasEnded() && used != (runtime.Stats{}) {
			all[run.ID] = used
		}
	}
	return all
}

// askAll asks all workers at the same time, and waits at most a second.
func askAll(ctx context.Context, workers []*worker, ask func(*worker, context.Context)) {
	ctx, cancel := context.WithTimeout(ctx, statsPatience)
	defer cancel()
	var asked sync.WaitGroup
	for _, w := range workers {
		asked.Go(func() { ask(w, ctx) })
	}
	asked.Wait()
}

// askUsed asks a worker for the usage of its guests.
func (w *worker) askUsed(ctx context.Context) {
	resp, err := w.client.Stats(ctx, &workerpb.StatsRequest{})
	if err != nil {
		w.log.Debug("a worker does not say what its guests use", zap.Error(err))
		return
	}
	for _, s := range resp.GetStats() {
		if g := w.pool.runs.get(s.GetId()); g != nil && g.worker == w {
			g.setUsed(wire.FromStats(s))
		}
	}
}

// Resident is the resident memory of all worker processes, in bytes: the touched memory of guests,
// and the workers' own memory.
func (p *Pool) Resident() int64 {
	sum := int64(0)
	for _, w := range p.workers.all() {
		sum += residentOf(w.info.PID) // 0 for a process that has just exited
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

// Counts returns the number of workers, and the number of pods' guests that run in them.
func (p *Pool) Counts() (workers, guests int) {
	all := p.workers.all()
	for _, w := range all {
		guests += w.account.guests()
	}
	return len(all), guests
}
