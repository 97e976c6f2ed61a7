package handler

import (
	"errors"
	"io"
	nethttp "net/http"
	"sync"

	"github.com/krustlet-go/krustlet-wasi/runtime/httpserver"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/http"
)

// fill makes the exchange of a request.
func (s *session) fill() {
	r, e := s.r, &s.exchange
	e.Method, e.Authority, e.PathWithQuery = r.Method, r.Host, r.RequestURI
	e.Scheme = "http"
	if r.TLS != nil {
		e.Scheme = "https"
	}
	e.Headers = http.FieldsOf(r.Header)
	e.Answer = &s.answer
	s.answer.Memory, s.answer.Lazy = s.pool.cfg.Memory, true
	if r.Body != nil && r.Body != nethttp.NoBody {
		s.body = &http.Pipe{Memory: s.pool.cfg.Memory, Begin: s.beginBody}
		e.Body = s.body
	}
}

// reading is the reading of a request's body, which begins when the guest first wants bytes. That
// may be at the same time as the end of the session.
type reading struct {
	mu     sync.Mutex
	done   chan struct{} // closed when nothing is read any more; nil if nothing was
	closed bool
}

// begin returns what to close at the end of reading, or nil if nothing may be read any more.
func (r *reading) begin() (done chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.closed {
		r.done = make(chan struct{})
	}
	return r.done
}

// close keeps reading from a later begin, and returns what is closed at its end, or nil if it has
// not begun.
func (r *reading) close() (done chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	return r.done
}

// beginBody begins to read the request's body: it is called when the guest first wants it.
func (s *session) beginBody() {
	if done := s.reading.begin(); done != nil {
		go s.readBody(done) // it ends before the session: see endBody
	}
}

// readBody moves the request's body to the guest.
func (s *session) readBody(done chan<- struct{}) {
	defer close(done)
	room := make(chan struct{}, 1)
	for {
		space, err := s.body.Space()
		if errors.Is(err, http.ErrNoMemory) {
			s.body.End(nil, err)
			return
		}
		if err != nil {
			return
		}
		if len(space) == 0 {
			s.body.OnSpace(func() { room <- struct{}{} })
			<-room
			continue
		}
		n, err := s.r.Body.Read(space)
		s.body.Commit(n)
		switch {
		case errors.Is(err, io.EOF):
			s.body.End(http.TrailersOf(http.FieldsOf(s.r.Trailer)), nil)
			return
		case err != nil:
			s.body.End(nil, bodyError(err))
			return
		}
	}
}

// bodyError is the error of a body as a guest is told it.
func bodyError(err error) error {
	switch {
	case errors.Is(err, httpserver.ErrBodyTooLarge):
		return http.ErrBodySize
	case errors.Is(err, httpserver.ErrStalled):
		return http.ErrStalled
	}
	return err
}

// endBody ends the reading of the body, and waits for it.
func (s *session) endBody() {
	if s.body == nil {
		return
	}
	s.body.Close(nil)
	done := s.reading.close()
	if done == nil || isClosed(done) {
		return
	}
	httpserver.InterruptRead(s.w) // it waits for the client
	<-done
}
