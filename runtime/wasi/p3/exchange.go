package p3

import (
	"github.com/krustlet-go/krustlet-wasi/runtime/component/instance"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/typed"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/http"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/p3/bindings"
)

// exchange is a request that the guest answers: its body, and the answer. After its end the pipes
// are left alone, as the server may free them.
type exchange struct {
	host *Host
	of   *http.Exchange
	arrival

	delivery
	ended bool
	noted bool // it is among Host.unpublished
}

// Request makes the request of an exchange, which the guest owns: the argument of its function
// handle. It is called in the turn of the guest's instance. The exchange has an end when its Answer
// has: after Respond or Fail, or if the instance gets a fault, when the caller has it fail. From
// then on, its pipes are not used. The error says that the guest holds too much.
func (h *Host) Request(in *instance.Instance, e *http.Exchange) (bindings.Request, error) {
	h.x = in
	if err := h.web.Take(); err != nil {
		return nil, err
	}
	headers, err := http.Received(&h.web, e.Headers)
	if err != nil {
		h.web.Give()
		return nil, err
	}
	r := &request{
		message: message{host: h, headers: headers},
		method:  methodOf(e.Method),
		scheme:  typed.Some(schemeOf(e.Scheme)),
		texts:   http.NewTexts(&h.web),
	}
	x := &exchange{host: h, arrival: arrival{host: h, pipe: e.Body}, of: e}
	x.delivery = delivery{host: h, pipe: e.Answer, finish: x.end, late: bindings.HTTPErrorCodeConnectionWriteTimeout}
	x.wrote = x.note
	r.from = &x.arrival
	if e.Authority != "" {
		r.authority = typed.Some(e.Authority)
	}
	if e.PathWithQuery != "" {
		r.path = typed.Some(e.PathWithQuery)
	}
	for _, text := range [...]string{r.method.Other, r.scheme.Value.Other, e.Authority, e.PathWithQuery} {
		if err := r.texts.Replace("", text); err != nil {
			r.release()
			r.message.release()
			return nil, err
		}
	}
	if h.exchanges == nil {
		h.exchanges = map[*http.Exchange]*exchange{}
	}
	h.exchanges[e] = x
	return r, nil
}

// Fail ends an exchange without a response, or its response: of a guest's code, only the name is
// told. It is called in the turn.
func (h *Host) Fail(e *http.Exchange, err error) {
	if x := h.exchanges[e]; x != nil {
		x.end(err)
		return
	}
	e.Fail(told(err))
}

// end ends the exchange: with the whole answer, or with an error. Only the first call counts.
func (x *exchange) end(err error) {
	if x.ended {
		return
	}
	x.ended = true
	delete(x.host.exchanges, x.of)
	x.cut(errOver)
	x.detach()
	trailers := x.stop()
	if err != nil {
		x.of.Fail(told(err))
	} else {
		x.of.Answer.End(trailers, nil)
		x.of.Publish()
	}
	if x.sent != nil {
		x.sent.end(err)
	}
}

// detach has the pipes tell nothing any more.
func (x *exchange) detach() {
	x.arrival.detach()
	x.delivery.detach()
}
