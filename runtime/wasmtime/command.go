package wasmtime

import (
	"errors"
	"fmt"
	"sync"

	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/instance"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/preview1"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasmtime/stdio"
)

// moduleCommand is the work of a WASI command in a core module: one instance, in one store, on one
// thread. Its _start is called once.
type moduleCommand struct {
	engine *Engine
	module *module
	hosted *hosted

	mu     sync.Mutex
	store  *store        // not nil while its code can run
	used   runtime.Stats // as last seen
	killed bool
}

// work implements unit.
func (m *module) work(e *Engine, _ runtime.Spec, cfg wasi.Config, _ *stdio.Output, h *hosted) (work, error) {
	host, err := preview1.New(cfg)
	if err != nil {
		return nil, err
	}
	h.wasi = host
	host.SendBy(h.client())
	return &moduleCommand{engine: e, module: m, hosted: h}, nil
}

// resident implements work.
func (c *moduleCommand) resident() bool { return true }

// run implements work.
func (c *moduleCommand) run(pays payer, started func()) (ending, error) {
	c.hosted.pay(pays.account)
	s, err := newStore(c.engine.native, c.hosted, pays.account)
	if err != nil {
		return ending{}, err
	}
	defer s.close()
	c.engine.calls.begin(s)
	defer c.engine.calls.end(s)
	c.arm(s)
	defer c.arm(nil)
	beside, _ := pays.beside.(*moduleCommand)
	err = s.instantiate(c.module, pays.account, beside != nil && beside.module == c.module)
	if err != nil && c.hosted.ended == nil {
		return ending{}, fmt.Errorf("instantiating: %w", err)
	}
	started()
	if err == nil { // otherwise the start section has ended the guest
		err = s.start(c.module)
	}
	return ending{err: err, ended: c.hosted.ended, memory: s.outOfMemory(err)}, nil
}

// arm sets the store that a kill must end.
func (c *moduleCommand) arm(s *store) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s == nil {
		c.sample()
	}
	c.store = s
	if s == nil {
		return
	}
	s.limit(c.hosted.pace.Limited()) // the limit may have changed since the store was made
	if c.killed {
		s.kill(c.engine.priority)
	}
}

// sample notes the current usage. The caller holds the mutex, and store is not nil.
func (c *moduleCommand) sample() {
	c.used.CPU, c.used.Throttled = c.store.cpu(), c.hosted.pace.Throttled()
	// A module without a memory has an instance, too. Tools would regard a guest that uses no
	// memory as ended.
	c.used.Memory = max(c.store.memory(), wasmPage)
	c.used.Traffic = runtime.Traffic(c.hosted.wasi.Traffic())
	c.hosted.addRequests(&c.used)
}

// stats implements work.
func (c *moduleCommand) stats() runtime.Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.store != nil {
		c.sample()
	}
	return c.used
}

// quiesce implements work.
func (c *moduleCommand) quiesce() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.store != nil {
		c.hosted.wasi.Quiesce()
	}
}

// resize implements work.
func (c *moduleCommand) resize(cpu int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hosted.pace.Resize(cpu)
	if c.store == nil {
		return // it has not started, or it has ended
	}
	c.store.limit(c.hosted.pace.Limited())
	c.engine.native.IncrementEpoch() // the engine exists as long as the guest has not ended
}

// kill implements work.
func (c *moduleCommand) kill() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.killed = true
	if c.store == nil {
		return
	}
	c.store.kill(c.engine.priority)
	c.engine.native.IncrementEpoch() // as above
}

// close implements work.
func (c *moduleCommand) close() error {
	err := c.hosted.wasi.Close()
	c.engine.modules.release(c.module)
	return err
}

// panicked returns the panic of the host that ended a guest, or nil.
func panicked(ended error) *panicError {
	var p *panicError
	if errors.As(ended, &p) {
		return p
	}
	var beside *instance.Panic
	if errors.As(ended, &beside) {
		return &panicError{function: "beside the guest's calls", value: beside.Value, stack: beside.Stack}
	}
	return nil
}
