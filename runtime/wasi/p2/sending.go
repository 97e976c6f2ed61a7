package p2

import (
	"context"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/typed"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/http"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/http/client"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/p2/bindings"
)

// Handle implements bindings.OutgoingHandlerHost. It owns the request and the options.
func (w web) Handle(_ context.Context, r bindings.OutgoingRequest, o typed.Option[bindings.RequestOptions]) (bindings.FutureIncomingResponse, error) {
	h, request := w.host, r.(*outgoingRequest)
	defer request.Drop()
	sent := request.outgoing()
	if o.Is {
		sent.Timeouts = o.Value.(*requestOptions).timeouts()
		o.Value.Drop()
	}
	if h.sender.Denies() {
		return nil, sentCode(http.ErrDenied)
	}
	if request.out != nil {
		sent.Body = &http.Pipe{Memory: h.sender.Memory()}
	}
	if err := sent.Check(); err != nil {
		return nil, codeOf(err, 0)
	}
	if err := h.web.Take(); err != nil {
		return nil, err
	}
	if request.out != nil {
		if err := request.out.send(sent.Body); err != nil {
			sent.Body.Free()
			h.web.Give()
			return nil, request.out.code(err)
		}
	}
	if err := h.sender.Send(sent); err != nil {
		h.web.Give()
		return nil, codeOf(err, 0)
	}
	return &futureResponse{host: h, of: sent}, nil
}

// outgoing is the request as it is sent, without its body.
func (r *outgoingRequest) outgoing() *http.Outgoing {
	o := &http.Outgoing{
		Method: r.method.Other, Scheme: "https", Authority: r.authority.Value, PathWithQuery: r.path.Value,
		Headers: r.headers.Entries(),
	}
	if r.method.Case != bindings.MethodOther {
		o.Method = http.Methods[r.method.Case]
	}
	switch {
	case !r.scheme.Is, r.scheme.Value.Case == bindings.SchemeHTTPS:
	case r.scheme.Value.Case == bindings.SchemeHTTP:
		o.Scheme = "http"
	default:
		o.Scheme = r.scheme.Value.Other
	}
	return o
}

// timeouts are the options as a client has them.
func (o *requestOptions) timeouts() client.Timeouts {
	return client.Timeouts{
		Connect: http.Timeout(o.connect), FirstByte: http.Timeout(o.firstByte), BetweenBytes: http.Timeout(o.betweenBytes),
	}
}

// futureResponse is the resource future-incoming-response of wasi:http.
type futureResponse struct {
	host  *Host
	of    *http.Outgoing
	taken bool
}

// Drop implements typed.Resource. Without its future, no one gets the response.
func (f *futureResponse) Drop() {
	if !f.taken {
		f.of.Cancel()
	}
	f.host.web.Give()
}

// Subscribe implements bindings.FutureIncomingResponse.
func (f *futureResponse) Subscribe(context.Context) (bindings.Pollable, error) {
	return f.host.pollable(pollable{signal: f})
}

// Ready implements wasi.Signal.
func (f *futureResponse) Ready() bool {
	head, err := f.of.Head()
	return head != nil || err != nil
}

// Notify implements wasi.Signal.
func (f *futureResponse) Notify(tell func()) { f.of.OnHead(tell) }

// Get implements bindings.FutureIncomingResponse. The response can be had once.
func (f *futureResponse) Get(context.Context) (got typed.Option[typed.Result[typed.Result[bindings.IncomingResponse, bindings.HTTPErrorCode], typed.None]], _ error) {
	if f.taken {
		got.Is, got.Value.Failed = true, true
		return got, nil
	}
	head, err := f.of.Head()
	if head == nil && err == nil {
		return got, nil
	}
	f.taken, got.Is = true, true
	result := &got.Value.OK
	if err != nil {
		result.Failed, result.Error = true, codeOf(err, 0)
		return got, nil
	}
	r, err := f.host.response(f.of, head)
	if err != nil {
		f.of.Cancel()
		return got, err
	}
	result.OK = r
	return got, nil
}

// response makes the response of a request.
func (h *Host) response(o *http.Outgoing, head *http.Head) (*incomingResponse, error) {
	if err := h.web.Take(); err != nil {
		return nil, err
	}
	headers, err := http.Received(&h.web, head.Headers)
	if err != nil {
		h.web.Give()
		return nil, err
	}
	r := &incomingResponse{host: h, status: bindings.StatusCode(head.Status), headers: headers}
	r.body = inflow{host: h, pipe: o.Response, users: 1, response: true}
	return r, nil
}

// incomingResponse is the resource incoming-response of wasi:http.
type incomingResponse struct {
	host     *Host
	status   bindings.StatusCode
	headers  *http.Fields
	body     inflow
	consumed bool
}

// Drop implements typed.Resource.
func (r *incomingResponse) Drop() {
	if !r.consumed {
		r.body.leave()
	}
	r.headers.Drop()
	r.host.web.Give()
}

// Status implements bindings.IncomingResponse.
func (r *incomingResponse) Status(context.Context) (bindings.StatusCode, error) { return r.status, nil }

// Headers implements bindings.IncomingResponse.
func (r *incomingResponse) Headers(context.Context) (bindings.Headers, error) {
	return resource(r.headers.View())
}

// Consume implements bindings.IncomingResponse. A response has one body.
func (r *incomingResponse) Consume(context.Context) (bindings.IncomingBody, error) {
	return r.body.consume(&r.consumed)
}
