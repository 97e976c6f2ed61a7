package p3

import (
	"github.com/krustlet-go/krustlet-wasi/runtime/component/instance"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/http"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/p3/bindings"
)

// answer is the response of an exchange while its body goes to the server.
type answer struct {
	sent     *promise // for the guest, or nil before the response
	contents *inflow  // or nil
	trailers *instance.FutureReader[trailerResult]
	came     bool    // the trailers
	fields   *fields // those, or nil
	whole    bool    // the contents have ended well
	written  int64
	length   int64 // as the guest said it, or -1
	moved    promise
	noted    bool // the exchange is among Host.unpublished
}

// Respond gives the exchange the response that the guest's function returned. It is called in the
// turn. The body goes to the server when the guest writes it, and the exchange ends after it.
func (h *Host) Respond(e *http.Exchange, r bindings.Response) {
	of, x := r.(*response), h.exchanges[e]
	if x == nil || x.sent != nil { // it has its end, or a response
		of.discard(errOver)
		return
	}
	head := http.Head{Status: int(of.status), Headers: of.headers.Entries(), Bodiless: !of.contents.Is}
	length, err := lengthOf(e.Method, head)
	if err == nil {
		err = e.Respond(head)
	}
	if err != nil {
		of.discard(err)
		x.end(err)
		return
	}
	of.release()
	x.sent, x.length = &of.sent, length
	x.trailers = instance.ReadFuture(h.x, of.trailers.Handle, trailerCodec)
	x.trailers.Read(x.gotTrailers)
	in := h.x // it belongs to the turn, and the server calls from outside of that
	e.Answer.OnGone(func() { in.Post(x.gone) })
	x.note()
	if head.Bodiless {
		x.whole = true
		return
	}
	x.moved.write = x.gotContents
	x.contents = h.drain(of.contents.Value, answerBody{x}, &x.moved)
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

// gotTrailers takes the trailers. They may come before the body has ended. An error ends the
// exchange at once.
func (x *exchange) gotTrailers(v trailerResult) {
	x.came = true
	if v.OK.Is {
		x.fields = v.OK.Value.(*fields)
	}
	if v.Failed {
		x.end(short(v.Error))
		return
	}
	x.complete()
}

// gotContents hears that the contents have ended.
func (x *exchange) gotContents(err error) {
	switch {
	case err != nil:
		x.end(err)
	case x.length >= 0 && x.written != x.length:
		x.end(x.wrongSize())
	default:
		x.whole = true
		x.complete()
	}
}

func (x *exchange) wrongSize() error {
	return &http.SizeError{Declared: uint64(x.length), Written: uint64(x.written)}
}

// complete ends the exchange if all of the answer is there.
func (x *exchange) complete() {
	if x.came && x.whole {
		x.end(nil)
	}
}

// gone hears that the server wants no more.
func (x *exchange) gone() {
	_, err := x.of.Answer.Room()
	x.end(lost(err, bindings.HTTPErrorCodeConnectionWriteTimeout))
}

// stop lets go of what the guest gave, and returns the trailers.
func (x *exchange) stop() (trailers []http.Field) {
	if x.trailers != nil {
		x.trailers.Close()
	}
	if x.contents != nil {
		x.contents.end(nil)
	}
	if x.fields != nil {
		trailers = x.fields.of.Entries()
		x.fields.Drop()
	}
	return trailers
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

// answerBody is a sink for the bytes of a response.
type answerBody struct{ *exchange }

func (b answerBody) open() int {
	n, err := b.room(piece)
	if err != nil {
		return 0 // which room says again
	}
	return n
}

func (b answerBody) room(n int) (int, error) {
	free, err := b.of.Answer.Room()
	return min(n, free), lost(err, bindings.HTTPErrorCodeConnectionWriteTimeout)
}

func (b answerBody) put(bytes []byte) error {
	b.written += int64(len(bytes))
	if b.length >= 0 && b.written > b.length {
		return b.wrongSize()
	}
	n, err := b.of.Answer.Write(bytes)
	if b.note(); err == nil && n < len(bytes) {
		err = http.ErrNoMemory // for all that room allows, which is less from now on
	}
	return lost(err, bindings.HTTPErrorCodeConnectionWriteTimeout)
}

func (b answerBody) wait(ready func()) (stop func(), err error) {
	x := b.host.x
	b.of.Answer.OnSpace(func() { x.Post(ready) })
	return func() { b.of.Answer.OnSpace(nil) }, nil
}

func (answerBody) rest() bool { return false }
func (answerBody) close()     {}
