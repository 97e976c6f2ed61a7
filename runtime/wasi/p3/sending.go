package p3

import (
	"context"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/typed"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/http"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/http/client"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/p3/bindings"
)

// sending is a request that the guest sends.
type sending struct {
	delivery
	of       *http.Outgoing
	done     func(bindings.Response, error)
	answered bool
	ended    bool // of the request's body
}

// Send implements bindings.ClientHost. It owns the request.
func (w web) Send(_ context.Context, async typed.Async[bindings.Response], r bindings.Request) (bindings.Response, error) {
	h, of := w.host, r.(*request)
	s := &sending{of: of.outgoing()}
	s.delivery = delivery{host: h, finish: s.finished, late: bindings.HTTPErrorCodeConnectionWriteTimeout, request: true}
	if of.hasBody() {
		s.pipe = &http.Pipe{Memory: h.sender.Memory()}
		s.of.Body = s.pipe
	}
	of.release()
	if err := h.sender.Send(s.of); err != nil {
		code := httpCode(err)
		of.abandon(code)
		return nil, code
	}
	sent, x := &of.sent, h.x
	s.of.OnSent(func(err error) { x.Post(func() { sent.end(err) }) })
	of.message.release()
	if s.pipe != nil {
		length, _ := http.ContentLength(s.of.Headers) // Send has looked
		s.begin(&of.message, length)
	} else {
		of.close()
	}
	s.done = async.Later(s.cancelled)
	s.of.OnHead(func() { x.Post(s.answer) })
	return nil, typed.ErrLater
}

// outgoing is the request as it is sent, without its body.
func (r *request) outgoing() *http.Outgoing {
	o := &http.Outgoing{
		Method: r.method.Other, Scheme: "https", Authority: r.authority.Value, PathWithQuery: r.path.Value,
		Headers: r.headers.Entries(),
	}
	if r.method.Case != bindings.MethodOther {
		o.Method = methods[r.method.Case]
	}
	switch {
	case !r.scheme.Is, r.scheme.Value.Case == bindings.SchemeHTTPS:
	case r.scheme.Value.Case == bindings.SchemeHTTP:
		o.Scheme = "http"
	default:
		o.Scheme = r.scheme.Value.Other
	}
	if of := r.options; of != nil {
		o.Timeouts = client.Timeouts{
			Connect: http.Timeout(of.connect), FirstByte: http.Timeout(of.firstByte), BetweenBytes: http.Timeout(of.betweenBytes),
		}
	}
	return o
}

// cancelled ends a request of which the guest wants no response any more.
func (s *sending) cancelled() {
	if s.answered {
		return
	}
	s.answered = true
	s.of.Cancel()
	s.done(nil, typed.ErrCancelled)
}

// answer gives the response to the guest.
func (s *sending) answer() {
	if s.answered {
		return
	}
	s.answered = true
	head, err := s.of.Head()
	if err != nil {
		s.done(nil, httpCode(err))
		return
	}
	r, err := s.host.response(s.of, head)
	if err != nil {
		s.of.Cancel()
		s.done(nil, bindings.HTTPErrorCode{Case: bindings.HTTPErrorCodeHTTPResponseHeaderSectionSize})
		return
	}
	s.done(r, nil)
}

// response makes the response of a request. The error says that the guest holds too much.
func (h *Host) response(o *http.Outgoing, head *http.Head) (*response, error) {
	if err := h.web.Take(); err != nil {
		return nil, err
	}
	headers, err := http.Received(&h.web, head.Headers)
	if err != nil {
		h.web.Give()
		return nil, err
	}
	from := &arrival{host: h, pipe: o.Response, response: true}
	return &response{message: message{host: h, headers: headers, from: from}, status: bindings.StatusCode(head.Status)}, nil
}

// finished hears that the request's body has ended for the guest. Only the first call counts.
func (s *sending) finished(err error) {
	if s.ended {
		return
	}
	s.ended = true
	s.detach()
	trailers := s.stop()
	if err != nil {
		trailers = nil
	}
	s.pipe.End(trailers, err)
}
