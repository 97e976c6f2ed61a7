package wasmtime

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"

	"go.uber.org/zap"

	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/command"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/handler"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/instance"
	"github.com/krustlet-go/krustlet-wasi/runtime/httpserver"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasmtime/listen"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasmtime/message"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasmtime/stdio"
)

// serves reports whether a run of the program answers HTTP requests. A component that is a command,
// too, does so only outside of pods, where its user chooses.
func (p *program) serves(spec runtime.Spec) bool {
	if p.command.Handles() == 0 || spec.Of.Beside != "" {
		return false
	}
	return !p.command.IsCommand() || spec.Of.Pod == "" && len(spec.HTTP.Listen)+len(spec.HTTP.ListenTLS) > 0
}

// componentHandler is the work of a component that answers HTTP requests. It has a server with its
// sockets, and no instance while there are no requests.
type componentHandler struct {
	engine    *Engine
	program   *program
	hosted    *hosted
	spec      runtime.Spec
	cfg       wasi.Config
	lines     *stdio.Lines
	listeners []*net.TCPListener
	plain     int // how many of them are not for TLS

	mu       sync.Mutex
	server   *httpserver.Server // nil before the start
	pool     *handler.Pool      // likewise
	bodies   bodyMemory
	machines map[*handlerMachine]struct{}
	spent    runtime.Stats // by machines that are closed
	drained  bool
}

var errNoListen = errors.New("the component is an HTTP handler: name an address to serve at with --listen, such as --listen=127.0.0.1:8080")

var errNoAddress = errors.New("the component is an HTTP handler, and there is no address to serve at: " +
	`the annotation krustlet-wasi.dev/listen of the pod is "false", or the pod has the node's address and the annotation is not "true"`)

func newComponentHandler(e *Engine, p *program, spec runtime.Spec, cfg wasi.Config, out *stdio.Output, h *hosted) (*componentHandler, error) {
	c := &componentHandler{engine: e, program: p, hosted: h, spec: spec, cfg: cfg, lines: stdio.NewLines(out), machines: map[*handlerMachine]struct{}{}}
	if len(spec.HTTP.Listen)+len(spec.HTTP.ListenTLS) == 0 {
		if spec.Of.Pod == "" {
			return nil, errNoListen
		}
		return nil, errNoAddress
	}
	plain, err := listen.All(spec.HTTP.Listen, spec.Of)
	if err != nil {
		return nil, err
	}
	c.plain = len(plain)
	tls, err := listen.All(spec.HTTP.ListenTLS, spec.Of)
	if err != nil {
		return nil, errors.Join(err, listen.Close(plain))
	}
	c.listeners = append(plain, tls...)
	if c.cfg.Tree, err = wasi.NewTree(cfg.Mounts, cfg.WorkDir); err != nil {
		return nil, errors.Join(err, listen.Close(c.listeners))
	}
	c.cfg.Rate = wasi.NewRate(cfg.OutputRate) // of all instances together
	return c, nil
}

// Addresses are those that the guest is served at, if it is an HTTP handler; with port 0 in the
// Spec, they have the ports that were free. The guest has not ended.
func (g *guest) Addresses() (all []net.Addr) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if c, ok := g.work.(*componentHandler); ok {
		for _, l := range c.listeners {
			all = append(all, l.Addr())
		}
	}
	return all
}

// resident implements work.
func (c *componentHandler) resident() bool { return false }

// run implements work.
func (c *componentHandler) run(pays payer, started func()) (ending, error) {
	c.bodies.account = pays.account
	c.hosted.pay(pays.account)
	pool := handler.New(handler.Config{
		Program: c.program.command, Settings: c.spec.HTTP, Make: c.make, Memory: &c.bodies,
		Ended: c.tell, Failed: c.tellFailed,
	})
	cfg := httpserver.Config{Settings: c.spec.HTTP, Handler: c.traced(pool), Memory: &clientMemory{of: &c.bodies}, Gate: c.cfg.Network, ErrorLog: c.lines.Line}
	if c.spec.HTTP.AccessLog {
		cfg.Record = func(r httpserver.Record) { c.lines.Out(r.Line()) }
	}
	server, err := httpserver.New(cfg)
	if err != nil {
		return ending{}, fmt.Errorf("serving HTTP: %w", err)
	}
	c.mu.Lock()
	c.server, c.pool = server, pool
	if c.drained {
		server.Drain()
	}
	c.mu.Unlock()
	for i, l := range c.listeners {
		if i < c.plain {
			server.Serve(l)
		} else {
			server.ServeTLS(l)
		}
	}
	started()
	var ended error
	select {
	case <-c.hosted.ctx.Done():
		ended = wasi.ErrKilled
	case <-server.Drained():
	}
	closed := make(chan struct{})
	go func() { // both wait for requests that the other one ends
		defer close(closed)
		server.Close()
	}()
	pool.Close()
	<-closed
	return ending{err: ended, ended: ended}, nil
}

// besideInstance is what the host holds for each instance of a handler after the first one, in
// bytes, in addition to what the engine holds: stack, and memory of its host calls.
const besideInstance = 512 << 10

// make makes a machine for one more instance.
func (c *componentHandler) make(number uint64) (handler.Machine, *command.Host, error) {
	e, plan := c.engine, c.program.plan
	if err := e.slots.Take(plan.slots); err != nil {
		return nil, nil, &handler.BusyError{Err: err}
	}
	if err := plan.pool.take(plan.takes); err != nil {
		e.slots.Give(plan.slots)
		return nil, nil, &handler.BusyError{Err: err}
	}
	ctx, cancel := context.WithCancel(c.hosted.ctx)
	m := &handlerMachine{of: c, cancel: cancel}
	cfg := c.cfg
	prefix := ""
	if c.spec.HTTP.MarkLines {
		prefix = fmt.Sprintf("[%d] ", number)
	}
	m.out, m.err = c.lines.Stdout(prefix), c.lines.Stderr(prefix)
	cfg.Stdout, cfg.Stderr = m.out, m.err
	host, err := command.NewHost(ctx, cfg, c.hosted.client())
	if err != nil {
		cancel()
		c.giveBack()
		return nil, nil, err
	}
	m.host = host
	c.mu.Lock()
	beside := plan.needs.beside(false)
	if len(c.machines) > 0 {
		beside = plan.needs.instance + besideInstance
	}
	m.machine, err = e.newMachineBeside(plan, &hosted{ctx: ctx, pace: c.hosted.pace}, c.bodies.account, beside)
	if err == nil {
		c.machines[m] = struct{}{}
		m.shared.limit(c.hosted.pace.Limited())
	}
	c.mu.Unlock()
	if err != nil {
		cancel()
		_ = host.Close() // it has opened nothing
		c.giveBack()
		return nil, nil, &handler.BusyError{Err: err}
	}
	e.ticker.Acquire()
	return m, host, nil
}

// giveBack gives back what an instance had of the engine's. The program keeps its plan open.
func (c *componentHandler) giveBack() {
	plan := c.program.plan
	plan.pool.give(plan.takes)
	c.engine.slots.Give(plan.slots)
}

// handlerMachine is the machine of an instance of a handler. It implements handler.Machine.
type handlerMachine struct {
	*machine
	of       *componentHandler
	host     *command.Host
	cancel   context.CancelFunc
	out, err *stdio.LineWriter
}

// NewStore implements instance.Engine.
func (m *handlerMachine) NewStore(number int, host instance.Calls) (instance.Store, error) {
	return m.machine.NewStore(number, host)
}

// Kill implements handler.Machine.
func (m *handlerMachine) Kill() {
	m.cancel()
	m.kill()
}

// OutOfMemory implements handler.Machine.
func (m *handlerMachine) OutOfMemory(err error) bool { return m.shared.outOfMemory(err) != enough }

// Close implements handler.Machine.
func (m *handlerMachine) Close() {
	c := m.of
	m.cancel()
	c.mu.Lock()
	delete(c.machines, m)
	c.spent.CPU += m.shared.cpu()
	c.mu.Unlock()
	if err := m.host.Close(); err != nil {
		c.engine.cfg.Log.Warn("closing what an instance had open", zap.String("run", c.spec.ID), zap.Error(err))
	}
	m.out.Flush()
	m.err.Flush()
	m.close()
	c.giveBack()
	c.engine.ticker.Release()
}

// tell writes to the guest's log why an instance has ended.
func (c *componentHandler) tell(number uint64, cause handler.Cause, err error) {
	text := ""
	switch cause {
	case handler.Trapped:
		text = exitOf(err, byHost(err), false).Message
		if text == "" {
			text = "the guest has exited" // by its own will
		}
	case handler.NoMemory:
		text = outOfMemory(exitOf(err, byHost(err), false), pastLimit, c.bodies.account.limit.Load()).Message
	case handler.TimedOut:
		text = "stopped: a request has taken too long"
	case handler.Stopped:
		return
	}
	if p := panicked(err); p != nil {
		c.engine.cfg.Log.Error("a host call panicked", zap.String("run", c.spec.ID), zap.Error(p), zap.ByteString("stack", p.stack))
	}
	c.say(number, text)
}

// tellFailed writes to the guest's log what is wrong with an answer.
func (c *componentHandler) tellFailed(number uint64, err error) { c.say(number, err.Error()) }

// say writes what concerns an instance to the guest's log.
func (c *componentHandler) say(number uint64, text string) {
	c.lines.Line(message.Truncate(fmt.Sprintf("HTTP instance %d: %s", number, text)))
}

// stats implements work.
func (c *componentHandler) stats() runtime.Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.spent
	s.Throttled = c.hosted.pace.Throttled()
	s.Memory = c.bodies.taken.Load()
	for m := range c.machines {
		s.CPU += m.shared.cpu()
		s.Memory += m.shared.memory()
	}
	s.Memory = max(s.Memory, wasmPage) // tools would regard a guest that uses no memory as ended
	if c.server == nil {
		return s
	}
	http := c.server.Stats()
	c.pool.AddTo(&http)
	s.HTTP = &http
	s.Traffic.Received, s.Traffic.Sent = http.Received, http.Sent
	c.hosted.addRequests(&s)
	return s
}

// quiesce implements work.
func (c *componentHandler) quiesce() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.drained {
		return
	}
	c.drained = true
	if c.server != nil {
		c.server.Drain()
	}
}

// resize implements work.
func (c *componentHandler) resize(cpu int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hosted.pace.Resize(cpu)
	for m := range c.machines {
		m.shared.limit(c.hosted.pace.Limited())
	}
	c.program.plan.engine.IncrementEpoch() // the engine exists as long as the guest has not ended
}

// kill implements work. The guest's context has ended, which run waits for.
func (c *componentHandler) kill() {}

// close implements work.
func (c *componentHandler) close() error {
	c.engine.modules.release(c.program)
	if c.server != nil {
		return nil // it has closed the sockets
	}
	return listen.Close(c.listeners)
}
