package handler

import (
	"cmp"
	"errors"
	goruntime "runtime"
	"sync"
	"time"

	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/command"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/instance"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/http"
)

// Config is what a Pool needs. Its functions are called by many goroutines at a time.
type Config struct {
	Program  *command.Program
	Settings runtime.HTTP
	// Make makes what one more instance runs on, and its host. The error is a *BusyError if there
	// may be room for it later.
	Make func(number uint64) (Machine, *command.Host, error)
	// Memory is from where bodies on their way take their memory; it may be nil.
	Memory http.Memory
	// Ended is told why an instance has ended that was not to end.
	Ended func(number uint64, cause Cause, err error)
	// Failed is told what is wrong with an answer of an instance that goes on.
	Failed func(number uint64, err error)
}

// Machine is what an instance runs on.
type Machine interface {
	instance.Engine
	// Thread makes the calling thread one of the guest's until end is called on it. The caller has
	// locked its goroutine to it.
	Thread() (end func(), err error)
	// Kill ends code of the guest, and the host's calls for it. Any goroutine may call it until
	// Close.
	Kill()
	// OutOfMemory reports whether the guest was refused memory, which may be why there is the error.
	OutOfMemory(err error) bool
	// Close frees it, with its host.
	Close()
}

// BusyError says that there is no room for one more instance now.
type BusyError struct{ Err error }

func (e *BusyError) Error() string { return e.Err.Error() }
func (e *BusyError) Unwrap() error { return e.Err }

// Cause is why an instance has ended.
type Cause uint8

// Causes.
const (
	Trapped Cause = iota // a trap, an exit, or another error of the guest
	NoMemory
	TimedOut
	Stopped // by the pool's owner
)

// Errors of a request that gets no instance.
var (
	errQueueFull = errors.New("too many requests wait for an instance")
	errWaited    = errors.New("no instance was free in time")
	errClosed    = errors.New("the handler has ended")
	errTooLarge  = errors.New("the request has larger headers than a guest is given")
)

// idleTime is how long an instance is kept that answers nothing.
const idleTime = 20 * time.Second

// Pool has the instances of one guest.
type Pool struct {
	cfg      Config
	settings runtime.HTTP
	spread   int           // how many instances there are before some answer several requests at a time
	idle     time.Duration // idleTime, except in tests
	gone     time.Duration // goneGrace, likewise

	sessions sync.WaitGroup

	mu      sync.Mutex
	members map[*member]struct{}
	making  int
	free    []*member // that answer nothing; the last one was used last
	waiting []*waiter
	number  uint64
	closed  bool
	sweep   *time.Timer
	spares  sync.WaitGroup // goroutines that make instances before they are needed
	spare   *time.Timer    // until one of them looks whether there is an instance; nil if none will

	counts
}

// New makes a pool. There is no instance until a request comes.
func New(cfg Config) *Pool {
	p := &Pool{cfg: cfg, settings: withDefaults(cfg.Settings, cfg.Program), members: map[*member]struct{}{}, spread: 1, idle: idleTime, gone: goneGrace}
	if cfg.Program.Handles() == 3 {
		p.spread = goruntime.GOMAXPROCS(0)
	}
	return p
}

// withDefaults fills in what is 0.
func withDefaults(s runtime.HTTP, program *command.Program) runtime.HTTP {
	s = s.WithDefaults()
	requests, reuse := runtime.DefaultHTTPRequests, runtime.DefaultHTTPReuse3
	switch {
	case program.Handles() == 2:
		s.Requests, reuse = 1, runtime.DefaultHTTPReuse2
	case !program.Overlaps():
		requests = 1
	}
	s.Requests, s.Reuse = cmp.Or(s.Requests, requests), cmp.Or(s.Reuse, reuse)
	return s
}

// spareAfter is how long there is no instance before one is made for the next request. Without a
// pause, requests come sooner than a spare, and each would wait for another goroutine's thread.
const spareAfter = time.Millisecond

// add makes an instance with a number of requests under way. The caller has counted it in making.
// The calling goroutine stays in on, if that is not nil and there is no error.
func (p *Pool) add(under int, on *presence) (*member, error) {
	p.mu.Lock()
	p.number++
	number := p.number
	p.mu.Unlock()
	m, err := p.make(number, under, on)
	if err != nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		if m != nil {
			delete(p.members, m)
		} else {
			p.making--
		}
		switch {
		case !isBusy(err):
			p.serveWaiting()
		case len(p.members)+p.making == 0:
			p.endWaiting(err) // nothing will end that makes room for them
		}
		return nil, err
	}
	if under > 0 {
		p.counts.cold.Add(1)
		p.mu.Lock()
		p.serveWaiting()
		p.mu.Unlock()
	}
	return m, nil
}

// make makes an instance. If it fails with a member, that is among those of the pool.
func (p *Pool) make(number uint64, under int, on *presence) (*member, error) {
	machine, host, err := p.cfg.Make(number)
	if err != nil {
		return nil, err
	}
	m := &member{pool: p, number: number, machine: machine, under: under, served: under, sessions: map[*session]struct{}{}}
	p.mu.Lock()
	p.making--
	p.members[m] = struct{}{}
	killed := p.closed
	p.mu.Unlock()
	if killed {
		m.kill(Stopped)
	}
	stop := time.AfterFunc(p.settings.FirstByteTimeout, func() { m.kill(TimedOut) })
	defer stop.Stop()
	here := on
	if here == nil {
		here = new(presence)
	}
	err = here.enter(machine)
	if err == nil {
		var h *command.Handler
		h, err = p.cfg.Program.NewHandler(machine, host)
		if on == nil || err != nil {
			here.leave()
		}
		m.mu.Lock()
		m.handler = h
		m.mu.Unlock()
	}
	if err != nil {
		err = m.failed(err)
		m.closeMachine()
		return m, err
	}
	p.mu.Lock()
	m.ready = true
	p.mu.Unlock()
	return m, nil
}

// release gives back a place in an instance. The calling goroutine leaves it, if it is in it.
func (p *Pool) release(m *member, on *presence) {
	p.mu.Lock()
	m.under--
	idle := m.under == 0
	ends := idle && (m.retired || m.served >= p.settings.Reuse || p.closed)
	if idle && !ends {
		m.since = time.Now()
		p.free = append(p.free, m)
		p.sweepIn(p.idle)
	}
	if !ends {
		p.serveWaiting()
	}
	p.mu.Unlock()
	if ends {
		p.remove(m, on)
		return
	}
	on.leave()
}

// remove ends an instance that answers nothing. The calling goroutine leaves it.
func (p *Pool) remove(m *member, on *presence) {
	m.close(on)
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.members, m)
	p.serveWaiting()
	if !m.retired && !p.closed && p.spare == nil && len(p.members)+p.making == 0 {
		p.spare = time.AfterFunc(spareAfter, p.addSpare)
	}
}

// addSpare makes an instance for the next request, if the last one has ended: the request will find
// it ready. If it fails, the request finds out.
func (p *Pool) addSpare() {
	p.mu.Lock()
	p.spare = nil
	if p.closed || len(p.members)+p.making > 0 {
		p.mu.Unlock()
		return
	}
	p.making++
	p.spares.Add(1)
	p.mu.Unlock()
	defer p.spares.Done()
	m, err := p.add(0, nil)
	p.mu.Lock()
	if err == nil {
		m.since = time.Now()
		p.free = append(p.free, m)
		p.sweepIn(p.idle)
		p.serveWaiting()
	}
	p.mu.Unlock()
}

// sweepIn looks for instances that are not used, after a while. The mutex is held.
func (p *Pool) sweepIn(d time.Duration) {
	if p.sweep == nil && !p.closed {
		p.sweep = time.AfterFunc(d, p.sweepNow)
	}
}

func (p *Pool) sweepNow() {
	p.mu.Lock()
	p.sweep = nil
	var old []*member
	for len(p.free) > 0 && time.Since(p.free[0].since) >= p.idle {
		m := p.free[0]
		m.retired = true
		old = append(old, m)
		p.free = p.free[1:]
	}
	if len(p.free) > 0 {
		p.sweepIn(p.idle - time.Since(p.free[0].since))
	}
	if p.closed {
		p.mu.Unlock()
		return // Close has them
	}
	p.spares.Add(1) // so that Close waits
	p.mu.Unlock()
	defer p.spares.Done()
	for _, m := range old {
		p.remove(m, new(presence))
	}
}

// Close kills all instances, and returns when nothing of them is left. ServeHTTP fails from now on;
// what the server still runs of it has to be able to end: its connections are closed.
func (p *Pool) Close() {
	p.mu.Lock()
	p.closed = true
	if p.sweep != nil {
		p.sweep.Stop()
	}
	free := p.free
	p.free = nil
	all := make([]*member, 0, len(p.members))
	for m := range p.members {
		all = append(all, m)
	}
	p.serveWaiting()
	p.mu.Unlock()
	for _, m := range all {
		m.kill(Stopped)
	}
	p.spares.Wait()
	p.sessions.Wait()
	for _, m := range free {
		p.remove(m, new(presence))
	}
	p.mu.Lock()
	late := p.free // of goroutines that made one meanwhile
	p.free = nil
	p.mu.Unlock()
	for _, m := range late {
		p.remove(m, new(presence))
	}
}
