package http

import (
	"errors"
	"sync"
)

// Exchange is a request that a guest answers. A server makes it, and a binding gives it to the
// guest: the fields of the request are not changed any more, and the methods are for the binding.
// They may be called on any goroutine, and do not wait.
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
	inform   []Head
	response *Head
	failed   error
}

// Head is the status of a response, with its headers.
type Head struct {
	Status  int
	Headers []Field
	// NoBody says that the guest gave no body.
	NoBody bool
}

// maxInform is how many informational responses one request has.
const maxInform = 16

// Errors of an answer.
var (
	// ErrAnswered is the error of a second response.
	ErrAnswered = errors.New("the request has its response already")
	// ErrInform is the error of an informational response that cannot be sent.
	ErrInform = errors.New("the informational response has a wrong status, or comes too late, or is one too many")
)

// OnChange says how the server is told that there is an answer, or a part of it. Lazy pipes are
// told apart: see Pipe.
func (e *Exchange) OnChange(f func()) { e.changed = f }

// Inform sends an informational response (1xx, but not 101) before the response.
func (e *Exchange) Inform(status int, headers []Field) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if status < 100 || status > 199 || status == 101 || e.response != nil || e.failed != nil || len(e.inform) == maxInform {
		return ErrInform
	}
	e.inform = append(e.inform, Head{Status: status, Headers: headers})
	call(e.changed)
	return nil
}

// Respond gives the response. What the guest then writes to Answer, is its body. The server is told
// at Publish.
func (e *Exchange) Respond(h Head) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.response != nil || e.failed != nil {
		return ErrAnswered
	}
	e.response = &h
	return nil
}

// Fail says that there is no response, and why: a code of WASI with its text, or what ended the
// guest. After a response it ends that, unless that has ended. Only the first call counts.
func (e *Exchange) Fail(why error) {
	e.mu.Lock()
	if e.failed == nil && !(e.response != nil && e.Answer.Ended()) {
		e.failed = why
	}
	e.mu.Unlock()
	e.Answer.End(nil, why)
	call(e.changed)
}

// Publish tells the server of all there is: it is called when the guest waits, flushes, or has
// ended.
func (e *Exchange) Publish() {
	e.mu.Lock()
	has := e.response != nil
	e.mu.Unlock()
	if has {
		e.Answer.Publish()
		call(e.changed)
	}
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
