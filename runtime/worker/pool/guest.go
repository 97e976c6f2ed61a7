package pool

import (
	"context"
	"sync"
	"time"

	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/worker/wire"
	"github.com/krustlet-go/krustlet-wasi/runtime/worker/workerpb"
)

// process is a guest in a worker, as the agent sees it. It implements runtime.Process.
type process struct {
	worker *remote
	id     string
	of     runtime.Origin

	// The pool's lock guards these.
	running   bool // it was started; it may have ended
	hosted    bool // its worker counts it
	startedAt time.Time

	done chan struct{}

	mu   sync.Mutex
	exit *runtime.Exit // set before done is closed
	used runtime.Stats // as last seen
}

func newProcess(w *remote, id string, of runtime.Origin) *process {
	return &process{worker: w, id: id, of: of, done: make(chan struct{})}
}

// Done implements runtime.Process.
func (p *process) Done() <-chan struct{} { return p.done }

// Exit implements runtime.Process.
func (p *process) Exit() runtime.Exit {
	p.mu.Lock()
	defer p.mu.Unlock()
	return *p.exit
}

// Stop implements runtime.Process.
func (p *process) Stop(grace time.Duration) {
	select {
	case <-p.done:
	default:
		p.worker.errands.stop(p.id, time.Now().Add(grace))
	}
}

// Forget implements runtime.Process.
func (p *process) Forget() {
	select {
	case <-p.done:
		p.worker.pool.forget(p)
	default:
	}
}

// statsPatience bounds how long Stats waits for the worker.
const statsPatience = time.Second

// Stats implements runtime.Process. It waits for the worker, but not for long.
func (p *process) Stats() runtime.Stats {
	select {
	case <-p.done:
		return p.lastUsed()
	default:
	}
	ctx, cancel := context.WithTimeout(context.Background(), statsPatience)
	defer cancel()
	resp, err := p.worker.client.Stats(ctx, &workerpb.StatsRequest{Ids: []string{p.id}})
	if err == nil && len(resp.GetStats()) == 1 {
		p.setUsed(wire.FromStats(resp.GetStats()[0]))
	}
	return p.lastUsed()
}

func (p *process) lastUsed() runtime.Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.used
}

func (p *process) setUsed(used runtime.Stats) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.exit == nil {
		p.used = used
	}
}

// end notes how the guest ended. Only the first call counts; it reports whether it was that.
func (p *process) end(exit runtime.Exit, used *workerpb.Stats) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.exit != nil {
		return false
	}
	p.exit = &exit
	if used != nil {
		p.used = wire.FromStats(used)
	}
	close(p.done)
	return true
}
