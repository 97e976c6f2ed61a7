package http

import "sync"

// Exchange is a request that a guest answers. A server makes it, and a binding gives it to the
// guest: the fields of the request are not changed any more, and the methods are for the binding.
// They may be called on any goroutine, and do not wait. They may be called after the exchange is
// over, too, as a guest keeps what it got: then they have no effect.
type Exchange struct {
	Method        string
	Scheme        string // http or https
	Authority     string
	PathWithQuery string
	Headers       []Field
	// Body has the bytes of the request, and then its trailers. It is nil if there is no body.
	Body *Pipe

	// Answer is the body of the response. The guest writes it, and the server reads it.
	Answer *Pipe

	mu       sync.Mutex
	changed  func() // tells the server
	inform   []Head // that the server has not got
	informed int    // how many there were
	response *Head
	told     bool // the server was told of the response
	failed   error
}

// Fits reports whether a guest can get the request: whether its fields and texts are not larger
// than those of a message may be.
func (e *Exchange) Fits() bool {
	return Fits(e.Headers) && max(len(e.Method), len(e.Scheme), len(e.Authority), len(e.PathWithQuery)) <= MaxText
}

// Head is the status of a response, with its headers.
type Head struct {
	Status  int
	Headers []Field
	// Bodiless says that the guest gave no body.
	Bodiless bool
}

// maxInform is how many informational responses one request has.
const maxInform = 16

// OnChange says how the server is told that there is an answer, an informational response, or no
// answer: once for each, and not under a lock. It is called before the guest gets the exchange.
// Lazy pipes are told apart: see Pipe.
func (e *Exchange) OnChange(f func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.changed = f
}

// Inform sends an informational response (1xx, but not 101) before the response.
func (e *Exchange) Inform(status int, headers []Field) error {
	e.mu.Lock()
	if status < 100 || status > 199 || status == 101 || e.response != nil || e.failed != nil || e.informed == maxInform {
		e.mu.Unlock()
		return ErrInform
	}
	e.informed++
	e.inform = append(e.inform, Head{Status: status, Headers: headers})
	tell := e.changed
	e.mu.Unlock()
	call(tell)
	return nil
}

// Respond gives the response. What the guest then writes to Answer, is its body. The server is told
// at Publish.
func (e *Exchange) Respond(h Head) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.response != nil || e.failed != nil:
		return ErrAnswered
	case h.Status < 200 || h.Status > 999:
		return ErrStatus
	}
	e.response = &h
	return nil
}

// Fail says that there is no response, and why: a CodeError, or what ended the guest. After a
// response it ends that, and after a whole response it does nothing. Only the first call counts.
func (e *Exchange) Fail(why error) {
	e.mu.Lock()
	if e.failed != nil || e.response != nil && e.Answer.whole() {
		e.mu.Unlock()
		return
	}
	e.failed = why
	tell := e.changed
	e.mu.Unlock()
	e.Answer.End(nil, why)
	call(tell)
}

// Publish tells the server of all there is: it is called when the guest waits, flushes, or has
// ended.
func (e *Exchange) Publish() {
	var tell func()
	e.mu.Lock()
	has := e.response != nil
	if has && !e.told {
		e.told, tell = true, e.changed
	}
	e.mu.Unlock()
	if has {
		e.Answer.Publish()
		call(tell)
	}
}

// Finish says that the guest does no more for the exchange: what is not there, does not come. Then
// it publishes.
func (e *Exchange) Finish() {
	if !e.Answered() {
		e.Fail(ErrNoResponse)
		return
	}
	e.Answer.End(nil, ErrIncomplete) // nothing if it has ended
	e.Publish()
}

// Free ends the exchange: the server is told of nothing any more, and the memory of the pipes is
// given back. Only the server calls it.
func (e *Exchange) Free() {
	e.mu.Lock()
	e.changed = nil
	if e.response == nil && e.failed == nil {
		e.failed = ErrGone
	}
	e.mu.Unlock()
	if e.Body != nil {
		e.Body.Free()
	}
	e.Answer.Free()
}

// Answered reports whether there is a response, or will be none.
func (e *Exchange) Answered() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.response != nil || e.failed != nil
}

// Next returns what the server has to send: informational responses that it has not sent, the
// response if there is one, and why there is none.
func (e *Exchange) Next() (inform []Head, response *Head, failed error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	inform, e.inform = e.inform, nil
	return inform, e.response, e.failed
}
