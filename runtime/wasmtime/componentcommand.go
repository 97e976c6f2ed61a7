package wasmtime

import (
	"errors"
	"fmt"
	"sync"

	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/command"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/instance"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasmtime/stdio"
)

var errNoCommand = errors.New("the component is an HTTP handler, and has no command to run (wasi:cli/run)")

// takes implements unit. A handler's instances take theirs when there are requests.
func (p *program) takes(spec runtime.Spec) int {
	if p.serves(spec) {
		return 0
	}
	return p.plan.slots
}

// check implements unit.
func (p *program) check(limit int64) error { return p.plan.needs.check(limit) }

var errListens = errors.New("a component cannot be given listening sockets: only a core module (WASI preview 1) can; with --egress=* it opens its own")

// listens implements unit. Components of WASI 0.2 and 0.3 open their sockets themselves.
func (p *program) listens() bool { return false }

// work implements unit.
func (p *program) work(e *Engine, spec runtime.Spec, cfg wasi.Config, out *stdio.Output, h *hosted) (work, error) {
	if p.serves(spec) {
		return newComponentHandler(e, p, spec, cfg, out, h)
	}
	switch {
	case !p.command.IsCommand():
		return nil, errNoCommand
	case len(spec.Listen) > 0 && spec.Of.Pod == "": // a pod's ports only say what it may listen on
		return nil, errListens
	}
	host, err := command.NewHost(h.ctx, cfg, h.client())
	if err != nil {
		return nil, err
	}
	return &componentCommand{engine: e, program: p, host: host, hosted: h}, nil
}

// componentCommand is the work of a WASI command that is a component: one instance of the
// component, in a store for each of its component instances that has code.
type componentCommand struct {
	engine  *Engine
	program *program
	host    *command.Host
	hosted  *hosted

	mu      sync.Mutex
	machine *machine      // not nil while its code can run
	used    runtime.Stats // as last seen
	killed  bool
}

// resident implements work.
func (c *componentCommand) resident() bool { return true }

// run implements work.
func (c *componentCommand) run(pays payer, started func()) (ending, error) {
	c.hosted.pay(pays.account)
	beside, _ := pays.beside.(*componentCommand)
	m, err := c.engine.newMachine(c.program.plan, c.hosted, pays.account, beside != nil && beside.program == c.program)
	if err != nil {
		return ending{}, fmt.Errorf("instantiating: %w", err)
	}
	defer m.close()
	end, err := m.Thread()
	if err != nil {
		return ending{}, err
	}
	defer end()
	c.arm(m)
	defer c.arm(nil)
	begun := false
	err = c.program.command.Run(c.hosted.ctx, stores{m}, c.host, func() {
		begun = true
		started()
	})
	ended := byHost(err)
	if err != nil && !begun {
		if ended == nil {
			return ending{}, err
		}
		started()
	}
	return ending{err: err, ended: ended, memory: m.shared.outOfMemory(err)}, nil
}

// byHost returns the error if it comes from the host or from a kill, and not from a trap.
func byHost(err error) error {
	var exit *wasi.ExitError
	if errors.As(err, &exit) || errors.Is(err, wasi.ErrKilled) || panicked(err) != nil {
		return err
	}
	return nil
}

// stores makes the stores of an instance: it is a machine as package instance wants it.
type stores struct{ *machine }

// NewStore implements instance.Engine.
func (s stores) NewStore(number int, host instance.Calls) (instance.Store, error) {
	return s.machine.NewStore(number, host)
}

// arm sets the machine that a kill must end.
func (c *componentCommand) arm(m *machine) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if m == nil {
		c.sample()
	}
	c.machine = m
	if m == nil {
		return
	}
	m.shared.limit(c.hosted.pace.Limited()) // the limit may have changed since the machine was made
	if c.killed {
		m.kill()
	}
}

// sample notes the current usage. The caller holds the mutex, and machine is not nil.
func (c *componentCommand) sample() {
	c.used.CPU, c.used.Throttled = c.machine.shared.cpu(), c.hosted.pace.Throttled()
	c.used.Memory = max(c.machine.shared.memory(), wasmPage) // as of a module
	c.used.Traffic = runtime.Traffic(c.host.Traffic())
	c.hosted.addRequests(&c.used)
}

// stats implements work.
func (c *componentCommand) stats() runtime.Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.machine != nil {
		c.sample()
	}
	return c.used
}

// quiesce implements work.
func (c *componentCommand) quiesce() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.machine != nil {
		c.host.Quiesce()
	}
}

// resize implements work.
func (c *componentCommand) resize(cpu int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hosted.pace.Resize(cpu)
	if c.machine == nil {
		return // it has not started, or it has ended
	}
	c.machine.shared.limit(c.hosted.pace.Limited())
	c.engine.native.IncrementEpoch() // the engine exists as long as the guest has not ended
}

// kill implements work.
func (c *componentCommand) kill() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.killed = true
	if c.machine != nil {
		c.machine.kill()
	}
}

// close implements work.
func (c *componentCommand) close() error {
	err := c.host.Close()
	c.engine.modules.release(c.program)
	return err
}
