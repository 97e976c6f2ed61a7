package p3

import (
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/http"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/p3/bindings"
)

// Respond gives the exchange the response that the guest's function returned. It is called in the
// turn. The body goes to the server when the guest writes it, and the exchange ends after it.
func (h *Host) Respond(e *http.Exchange, r bindings.Response) {
	of, x := r.(*response), h.exchanges[e]
	if x == nil || x.sent != nil { // it has its end, or a response
		of.abandon(errOver)
		return
	}
	head := http.Head{Status: int(of.status), Headers: of.headers.Entries(), Bodiless: !of.hasBody()}
	length, err := lengthOf(e.Method, head)
	if err == nil {
		err = e.Respond(head)
	}
	if err != nil {
		of.abandon(err)
		x.end(err)
		return
	}
	of.release()
	x.note()
	x.begin(&of.message, length)
}

// lengthOf returns the length that the body of a response has to have, or -1. The error says that
// no server can send the response.
func lengthOf(method string, head http.Head) (length int64, err error) {
	if length, err = http.ContentLength(head.Headers); err != nil {
		return 0, err
	}
	switch {
	case method == "HEAD" || head.Status == 204 || head.Status == 304:
		return -1, nil // the length is that of another response
	case head.Bodiless && length > 0:
		return 0, &http.SizeError{Declared: uint64(length)}
	}
	return length, nil
}

// note has the server told of what there is: once, when the tasks that run have waited or ended.
func (x *exchange) note() {
	if x.noted {
		return
	}
	x.noted = true
	h := x.host
	if h.unpublished = append(h.unpublished, x); len(h.unpublished) == 1 {
		h.x.Post(h.tell)
	}
}

// publish tells the servers.
func (h *Host) publish() {
	for i, x := range h.unpublished {
		h.unpublished[i] = nil
		x.noted = false
		if !x.ended {
			x.of.Publish()
		}
	}
	h.unpublished = h.unpublished[:0]
}
