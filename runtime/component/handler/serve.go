package handler

import (
	"context"
	"errors"
	nethttp "net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/krustlet-go/krustlet-wasi/runtime/httpserver"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/http"
)

// session is a request that an instance answers.
type session struct {
	pool     *Pool
	w        nethttp.ResponseWriter
	r        *nethttp.Request
	control  *nethttp.ResponseController
	exchange http.Exchange
	answer   http.Pipe
	body     *http.Pipe // nil if there is none
	reading  reading    // of the body

	member  *member
	on      presence      // of the goroutine that serves
	tell    func()        // tells who sends that there is something to send
	wake    chan struct{} // holds one
	changed atomic.Bool   // there is something to send
	exited  atomic.Bool   // the guest's function has ended, or the instance
	begun   time.Time
	gone    atomic.Bool // the client has gone
	head    atomic.Bool // the guest's was sent

	watching sync.Mutex
	watch    *time.Timer // nil when the session is over
	leftAt   time.Time   // when the client was found to have gone
	late     bool        // the answer has taken too long
	sentAt   time.Time   // when only the guest's function was left; zero before
	patience time.Duration

	// These belong to the one that sends.
	written bool // all was sent, or cannot be
	failed  bool // the answer has to be cut off

	bodiless bool // the answer has no body: what the guest writes is dropped
	flushed  bool

	// These belong to the instance's turn.
	driving bool
	settles bool          // only the guest's function is waited for
	ahead   int           // what the guest has done since there is something to send
	sender  chan struct{} // closed when another goroutine has sent all; nil if there is none
}

// ServeHTTP answers a request. It panics with http.ErrAbortHandler if an answer cannot be completed
// that was begun.
func (p *Pool) ServeHTTP(w nethttp.ResponseWriter, r *nethttp.Request) {
	if !p.enter() {
		refuse(w, errClosed)
		return
	}
	defer p.sessions.Done()
	s := &session{pool: p, w: w, r: r, control: nethttp.NewResponseController(w), wake: make(chan struct{}, 1), begun: time.Now()}
	s.fill()
	if !s.exchange.Fits() {
		refuse(w, errTooLarge)
		return
	}
	m, err := p.acquire(r.Context(), &s.on)
	if err != nil {
		refuse(w, err)
		return
	}
	s.member = m
	if s.serve() {
		panic(nethttp.ErrAbortHandler)
	}
}

func (p *Pool) enter() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.sessions.Add(1)
	return true
}

// serve answers, and reports whether the answer has to be cut off.
func (s *session) serve() (failed bool) {
	m := s.member
	inline := s.pool.cfg.Program.Handles() == 2
	tell := s.change
	if inline {
		tell = s.send
	}
	s.tell = tell
	s.exchange.OnChange(tell)
	s.answer.OnBytes(tell)
	if err := m.join(s); err != nil {
		s.exchange.Fail(err)
		s.exited.Store(true)
	} else if err := m.handler.Begin(&s.exchange, s.exit); err != nil {
		m.fail(err)
	}
	s.beginWatch()
	for !s.over() {
		s.step(inline)
	}
	failed = s.failed
	s.watchSettling()
	s.endBody()
	if s.exited.Load() {
		s.endWatch()
		s.leave()
		return failed
	}
	s.on.leave()
	s.pool.sessions.Add(1) // the caller's is not done yet
	go s.settle()
	return failed
}

// over reports whether the server's part is over.
func (s *session) over() bool {
	if !s.written {
		return false
	}
	return s.exited.Load() || s.pool.cfg.Program.Handles() == 3
}

// step runs the guest until there is something to send, or waits for that, and sends it.
func (s *session) step(inline bool) {
	x := s.member.handler.Instance()
	if x.Take(s.wake) {
		s.drive()
		x.Give()
	}
	if s.sender != nil {
		<-s.sender
		return
	}
	if !inline || s.exited.Load() {
		s.send()
	}
}

// drive runs the guest in the turn.
func (s *session) drive() {
	m := s.member
	x := m.handler.Instance()
	if s.due() {
		return
	}
	if err := s.on.enter(m.machine); err != nil {
		m.fail(err)
		return
	}
	s.driving, s.ahead = true, 0
	err := x.Drive(s.due)
	s.driving = false
	if !s.exited.Load() {
		s.on.leave() // the goroutine will wait
	}
	if err != nil {
		m.fail(err)
	}
}

// due reports whether who drives has to stop, and look what there is to do for the session. An
// answer of WASI 0.3 may go on after the guest's function has ended, and needs a driver for that.
func (s *session) due() bool {
	switch {
	case s.settles || s.pool.cfg.Program.Handles() == 2:
		return s.exited.Load()
	case s.sender != nil:
		return isClosed(s.sender)
	}
	if !s.changed.Load() {
		return false
	}
	s.ahead++
	return s.ahead > aheadSteps || !s.member.handler.Instance().Busy()
}

// aheadSteps is how many things a guest may do before what there is to send is sent. Most answers
// are complete after that, and the guest's function has ended: then the guest is entered once.
const aheadSteps = 8

// exit hears that the guest's function has ended.
func (s *session) exit() {
	s.exited.Store(true)
	s.signal()
}

// signal wakes the session's goroutine.
func (s *session) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// change hears that there is something to send, in the turn or from a pipe. If the session's
// goroutine cannot come back to send it, as a task of the guest waits on its stack, another one
// sends it.
func (s *session) change() {
	s.changed.Store(true)
	s.signal()
	if s.sender == nil && s.driving && s.member.handler.Instance().Held() {
		s.sender = make(chan struct{})
		go s.sendAll()
	}
}

// sendAll sends until all is sent. The session's goroutine waits for it.
func (s *session) sendAll() {
	defer s.member.handler.Instance().Post(func() {}) // so that who drives looks
	defer close(s.sender)
	for {
		s.send()
		if s.written {
			return
		}
		<-s.wake
	}
}

// settle drives the instance until the guest's function has ended, whose answer was sent.
func (s *session) settle() {
	defer s.pool.sessions.Done()
	s.settles = true
	x := s.member.handler.Instance()
	for !s.exited.Load() {
		s.changed.Store(false)
		if x.Take(s.wake) {
			s.drive()
			x.Give()
		}
	}
	s.endWatch()
	s.leave()
}

// leave ends the use of the instance.
func (s *session) leave() {
	s.member.leave(s)
	s.answer.Close(nil)
	if s.body != nil {
		s.body.End(nil, errGone)
	}
	s.pool.release(s.member, &s.on)
	s.exchange.Free()
}

func isClosed(c chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// errGone is the error of a guest's stream whose client has gone.
var errGone = errors.New("the client has gone")

// How often a session looks at its client and its time, and how long a guest may go on whose client
// has gone, or got no answer in time.
const (
	lookEvery = time.Second
	goneGrace = 5 * time.Second
)

// nextLook is when the session has to be looked at.
func (s *session) nextLook() time.Duration {
	left := s.pool.settings.Timeout
	if !s.exchange.Answered() {
		left = min(left, s.pool.settings.FirstByteTimeout)
	}
	return max(min(lookEvery, left-time.Since(s.begun)), time.Millisecond)
}

func (s *session) beginWatch() {
	s.watching.Lock()
	defer s.watching.Unlock()
	s.watch = time.AfterFunc(s.nextLook(), s.look)
}

func (s *session) endWatch() {
	s.watching.Lock()
	defer s.watching.Unlock()
	s.watch.Stop()
	s.watch = nil
}

// watchSettling says that only the guest's function is left, and the server may forget the request.
func (s *session) watchSettling() {
	s.watching.Lock()
	defer s.watching.Unlock()
	s.sentAt, s.patience = time.Now(), s.pool.settings.Timeout
	if s.failed || s.late {
		s.patience = min(s.patience, s.pool.gone)
	}
	s.watch.Reset(s.patience)
}

// lookSettling ends an instance whose function has taken too long after its answer. If the instance
// answers others, they may end.
func (s *session) lookSettling() {
	passed := time.Since(s.sentAt)
	if passed < s.patience {
		s.watch.Reset(s.patience - passed)
		return
	}
	s.member.retire()
	if s.member.alone() || passed >= s.pool.settings.Timeout {
		s.member.kill(TimedOut)
		return
	}
	s.watch.Reset(lookEvery)
}

// look ends a session that has taken too long, and one whose client has gone.
func (s *session) look() {
	s.watching.Lock()
	defer s.watching.Unlock()
	switch {
	case s.watch == nil:
		return
	case !s.sentAt.IsZero():
		s.lookSettling()
		return
	}
	passed := time.Since(s.begun)
	switch {
	case s.late, s.gone.Load() && time.Since(s.leftAt) >= s.pool.gone:
		s.member.kill(TimedOut)
		if s.head.Load() { // a client that takes little at a time would keep it from its end
			httpserver.Interrupt(s.w)
		}
		return
	case passed >= s.pool.settings.Timeout, !s.exchange.Answered() && passed >= s.pool.settings.FirstByteTimeout:
		s.timeOut()
	case !s.gone.Load() && s.r.Context().Err() != nil:
		s.leftAt = time.Now()
		s.gone.Store(true)
		s.answer.Close(errGone)
		if s.body != nil {
			s.body.End(nil, errGone)
		}
		s.changed.Store(true)
		s.signal()
		s.member.handler.Instance().Post(func() {}) // so that who drives looks
	}
	s.watch.Reset(s.lookAgain())
}

// lookAgain is nextLook after the first time. A guest that has to let go of a request gets time for
// that.
func (s *session) lookAgain() time.Duration {
	if s.late {
		return lookEvery
	}
	return max(s.nextLook(), lookEvery/4)
}

// timeOut ends a request that has taken too long. Others that the instance answers may end, as long
// as its guest lets others run: look kills it if this request has not ended soon.
func (s *session) timeOut() {
	s.late = true
	m := s.member
	m.retire()
	if m.alone() {
		m.kill(TimedOut)
		return
	}
	m.handler.Instance().Post(func() { m.handler.Fail(&s.exchange, errTimedOut) })
}

// refuse answers a request that no instance answers.
func refuse(w nethttp.ResponseWriter, err error) {
	if errors.Is(err, context.Canceled) {
		panic(nethttp.ErrAbortHandler)
	}
	status := statusOf(err)
	if status == nethttp.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	nethttp.Error(w, nethttp.StatusText(status), status)
}

// statusOf is the status for an error.
func statusOf(err error) int {
	var busy *BusyError
	switch {
	case errors.Is(err, errTimedOut):
		return nethttp.StatusGatewayTimeout
	case errors.Is(err, errTooLarge):
		return nethttp.StatusRequestHeaderFieldsTooLarge
	case errors.Is(err, errMemory), errors.Is(err, errQueueFull), errors.Is(err, errWaited), errors.Is(err, errClosed),
		errors.Is(err, errStopped), errors.As(err, &busy):
		return nethttp.StatusServiceUnavailable
	}
	return nethttp.StatusInternalServerError
}
