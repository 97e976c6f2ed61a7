package handler

import (
	"context"
	"errors"
	goruntime "runtime"
	"slices"
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
	errHeaders   = errors.New("the request has larger headers than a guest is given")
)

// How long an instance is kept that answers nothing, and how many are kept ready that have answered
// nothing yet.
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
	spare   bool           // one of them runs

	counts
}

// waiter is a request that waits for an instance.
type waiter struct {
	got chan grant // gets one
}

// grant is what a waiter gets: a place in an instance, an error, or else it may make an instance,
// which is counted in making.
type grant struct {
	m   *member
	err error
}

// New makes a pool. There is no instance until a request comes.
func New(cfg Config) *Pool {
	p := &Pool{cfg: cfg, settings: withDefaults(cfg.Settings, cfg.Program), members: map[*member]struct{}{}, spread: 1, idle: idleTime, gone: goneGrace}
	if cfg.Program.Handles() == 3 {
		p.spread = goruntime.GOMAXPROCS(0)
	}
	return p
}

// withDefaults sets the settings of instances that are 0.
func withDefaults(s runtime.HTTP, program *command.Program) runtime.HTTP {
	set := func(n *int, d int) {
		if *n <= 0 {
			*n = d
		}
	}
	wait := func(n *time.Duration, d time.Duration) {
		if *n <= 0 {
			*n = d
		}
	}
	set(&s.Instances, runtime.DefaultHTTPInstances)
	set(&s.Queue, runtime.DefaultHTTPQueue)
	wait(&s.QueueTimeout, runtime.DefaultHTTPQueueTimeout)
	wait(&s.FirstByteTimeout, runtime.DefaultHTTPFirstByteTimeout)
	wait(&s.Timeout, runtime.DefaultHTTPTimeout)
	if program.Handles() == 3 {
		if !program.Overlaps() {
			set(&s.Requests, 1)
		}
		set(&s.Requests, runtime.DefaultHTTPRequests)
		set(&s.Reuse, runtime.DefaultHTTPReuse3)
	} else {
		s.Requests = 1
		set(&s.Reuse, runtime.DefaultHTTPReuse2)
	}
	return s
}

// acquire gets an instance for one more request of it.
func (p *Pool) acquire(ctx context.Context) (*member, error) {
	p.mu.Lock()
	m, may := p.choose()
	if m != nil || p.closed {
		p.mu.Unlock()
		return p.warm(m)
	}
	if may {
		p.making++
	}
	p.mu.Unlock()
	if !may {
		return p.wait(ctx, nil)
	}
	m, err := p.add(1)
	if isBusy(err) {
		return p.wait(ctx, err)
	}
	return m, err
}

func isBusy(err error) bool {
	var busy *BusyError
	return errors.As(err, &busy)
}

// warm returns a member that was there, or the error of a closed pool.
func (p *Pool) warm(m *member) (*member, error) {
	if m == nil {
		return nil, errClosed
	}
	p.counts.warm.Add(1)
	return m, nil
}

// choose takes a place in an instance, or else says whether another one may be made. The mutex is
// held.
func (p *Pool) choose() (m *member, may bool) {
	if p.closed {
		return nil, false
	}
	if m = p.takeFree(); m != nil {
		return m, false
	}
	all := len(p.members) + p.making
	if all < min(p.spread, p.settings.Instances) {
		return nil, true
	}
	if m = p.place(); m != nil {
		return m, false
	}
	return nil, all < p.settings.Instances
}

// takeFree takes the instance that was used last of those that answer nothing, or returns nil. The
// mutex is held.
func (p *Pool) takeFree() *member {
	n := len(p.free)
	if n == 0 {
		return nil
	}
	m := p.free[n-1]
	p.free = p.free[:n-1]
	m.enter()
	return m
}

// place takes a place in an instance that answers requests, or returns nil. The mutex is held.
func (p *Pool) place() (m *member) {
	if p.settings.Requests == 1 {
		return nil
	}
	for other := range p.members {
		if other.hasPlace() && (m == nil || other.under < m.under) {
			m = other
		}
	}
	if m != nil {
		m.enter()
	}
	return m
}

// wait has the request wait for an instance. busy is why none could be made for it, or nil.
func (p *Pool) wait(ctx context.Context, busy error) (*member, error) {
	timer := time.NewTimer(p.settings.QueueTimeout)
	defer timer.Stop()
	for {
		w, m, err := p.queue(busy)
		if w == nil {
			return m, err
		}
		got, err := p.waitFor(ctx, w, timer.C)
		switch {
		case err != nil:
			return nil, err
		case got.m != nil:
			return p.warm(got.m)
		}
		if m, err = p.add(1); !isBusy(err) {
			return m, err
		}
		busy = err
	}
}

// queue makes the request wait, unless there is an instance for it or no hope of one.
func (p *Pool) queue(busy error) (w *waiter, m *member, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if busy != nil { // another one would fail now
		if m = p.takeFree(); m == nil {
			m = p.place()
		}
		if m != nil {
			p.counts.warm.Add(1)
			return nil, m, nil
		}
	}
	switch {
	case p.closed:
		return nil, nil, errClosed
	case busy != nil && len(p.members)+p.making == 0:
		return nil, nil, busy
	case len(p.waiting) >= p.settings.Queue:
		return nil, nil, errQueueFull
	}
	w = &waiter{got: make(chan grant, 1)}
	p.waiting = append(p.waiting, w)
	if busy == nil {
		p.serveWaiting()
	}
	return w, nil, nil
}

// waitFor waits for what a waiter gets.
func (p *Pool) waitFor(ctx context.Context, w *waiter, late <-chan time.Time) (got grant, err error) {
	select {
	case got = <-w.got:
		return got, got.err
	case <-ctx.Done():
		err = ctx.Err()
	case <-late:
		err = errWaited
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if i := slices.Index(p.waiting, w); i >= 0 {
		p.waiting = slices.Delete(p.waiting, i, i+1)
		return grant{}, err
	}
	got = <-w.got // it came at the same time
	return got, got.err
}

// serveWaiting gives those that wait what there is. One of them at most may make an instance: when
// that was possible, or another one has ended, it is called again. The mutex is held.
func (p *Pool) serveWaiting() {
	if p.closed {
		p.endWaiting(errClosed)
	}
	for len(p.waiting) > 0 {
		m, may := p.choose()
		if m == nil && !may {
			return
		}
		w := p.waiting[0]
		p.waiting = p.waiting[1:]
		w.got <- grant{m: m}
		if may {
			p.making++
			return
		}
	}
}

// endWaiting ends all waiting with an error. The mutex is held.
func (p *Pool) endWaiting(err error) {
	for _, w := range p.waiting {
		w.got <- grant{err: err}
	}
	p.waiting = nil
}

// add makes an instance with a number of requests under way. The caller has counted it in making.
func (p *Pool) add(under int) (*member, error) {
	p.mu.Lock()
	p.number++
	number := p.number
	p.mu.Unlock()
	m, err := p.make(number, under)
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
func (p *Pool) make(number uint64, under int) (*member, error) {
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
	goruntime.LockOSThread()
	defer goruntime.UnlockOSThread()
	end, err := machine.Thread()
	if err == nil {
		var h *command.Handler
		h, err = p.cfg.Program.NewHandler(machine, host)
		end()
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

// release gives back a place in an instance.
func (p *Pool) release(m *member) {
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
		p.remove(m)
	}
}

// remove ends an instance that answers nothing.
func (p *Pool) remove(m *member) {
	m.close()
	p.mu.Lock()
	delete(p.members, m)
	p.serveWaiting()
	spare := !m.retired && !p.closed && !p.spare && len(p.members)+p.making == 0 && p.settings.Reuse > 0
	if spare {
		p.spare = true
		p.making++
		p.spares.Add(1)
	}
	p.mu.Unlock()
	if spare {
		go p.addSpare()
	}
}

// addSpare makes an instance for the next request, if the last one has ended: the request will find
// it ready. If it fails, the request finds out.
func (p *Pool) addSpare() {
	defer p.spares.Done()
	m, err := p.add(0)
	p.mu.Lock()
	p.spare = false
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
		p.remove(m)
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
		p.remove(m)
	}
	p.mu.Lock()
	late := p.free // of goroutines that made one meanwhile
	p.free = nil
	p.mu.Unlock()
	for _, m := range late {
		p.remove(m)
	}
}
