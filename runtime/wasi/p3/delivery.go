package p3

import (
	"github.com/krustlet-go/krustlet-wasi/runtime/component/instance"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/http"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/http/client"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/p3/bindings"
)

// delivery is the body of a message of the guest on its way outside: of a response, or of a request
// that it sends.
type delivery struct {
	host *Host
	pipe *http.Pipe
	// finish is called when the body has ended: the whole of it is in the pipe, or an error says
	// why not. wrote is called when there is something in the pipe; it may be nil.
	finish func(error)
	wrote  func()
	// late is what the guest hears if the other end has stalled.
	late bindings.HTTPErrorCodeCase

	sent      *promise // for the guest, or nil before the message is given
	forwarded *forward // of a message that the guest got, or nil
	contents  *inflow  // or nil
	trailers  *instance.FutureReader[trailerResult]
	came      bool    // the trailers
	fields    *fields // those, or nil
	whole     bool    // the contents have ended well
	written   int64
	length    int64 // as the guest said it, or -1
	moved     promise
	request   bool
}

// begin takes the body of a message.
func (d *delivery) begin(of *message, length int64) {
	d.sent, d.length = &of.sent, length
	in := d.host.x // it belongs to the turn, and the other end calls from outside of that
	d.pipe.OnGone(func() { in.Post(d.gone) })
	if of.from != nil {
		d.forward(of.from)
		return
	}
	d.trailers = instance.ReadFuture(d.host.x, of.trailers.Handle, trailerCodec)
	d.trailers.Read(d.gotTrailers)
	if !of.contents.Is {
		d.whole = true
		return
	}
	d.moved.write = d.gotContents
	d.contents = d.host.drain(of.contents.Value, deliveredBody{d}, &d.moved)
}

// detach has the pipe tell nothing any more.
func (d *delivery) detach() {
	d.pipe.OnSpace(nil)
	d.pipe.OnGone(nil)
}

// gotTrailers takes the trailers. They may come before the body has ended. An error ends the
// delivery at once.
func (d *delivery) gotTrailers(v trailerResult) {
	d.came = true
	if v.OK.Is {
		d.fields = v.OK.Value.(*fields)
	}
	if v.Failed {
		d.finish(short(v.Error))
		return
	}
	d.complete()
}

// gotContents hears that the contents have ended.
func (d *delivery) gotContents(err error) {
	switch {
	case err != nil:
		d.finish(err)
	case d.length >= 0 && d.written != d.length:
		d.finish(d.wrongSize())
	default:
		d.whole = true
		d.complete()
	}
}

func (d *delivery) wrongSize() error {
	size := &http.SizeError{Declared: uint64(d.length), Written: uint64(d.written)}
	if d.request {
		return &client.Error{Code: client.RequestBodySize, Err: size}
	}
	return size
}

// complete ends the delivery if all of it is there.
func (d *delivery) complete() {
	if d.came && d.whole {
		d.finish(nil)
	}
}

// gone hears that the other end wants no more.
func (d *delivery) gone() {
	_, err := d.pipe.Room()
	d.finish(lost(err, d.late))
}

// stop lets go of what the guest gave, and returns the trailers.
func (d *delivery) stop() (trailers []http.Field) {
	if d.trailers != nil {
		d.trailers.Close()
	}
	if d.contents != nil {
		d.contents.end(nil)
	}
	if d.fields != nil {
		trailers = d.fields.of.Entries()
		d.fields.Drop()
	}
	if f := d.forwarded; f != nil {
		f.end(errOver) // nothing if it has ended
		trailers = f.trailers
	}
	return trailers
}

// deliveredBody is a sink for the bytes of a body.
type deliveredBody struct{ *delivery }

func (b deliveredBody) open() int {
	n, err := b.room(piece)
	if err != nil {
		return 0 // which room says again
	}
	return n
}

func (b deliveredBody) room(n int) (int, error) {
	free, err := b.pipe.Room()
	return min(n, free), lost(err, b.late)
}

func (b deliveredBody) put(bytes []byte) error {
	b.written += int64(len(bytes))
	if b.length >= 0 && b.written > b.length {
		return b.wrongSize()
	}
	n, err := b.pipe.Write(bytes)
	if b.wrote != nil {
		b.wrote()
	}
	if err == nil && n < len(bytes) {
		err = http.ErrNoMemory // for all that room allows, which is less from now on
	}
	return lost(err, b.late)
}

func (b deliveredBody) wait(ready func()) (stop func(), err error) {
	x := b.host.x
	b.pipe.OnSpace(func() { x.Post(ready) })
	return func() { b.pipe.OnSpace(nil) }, nil
}

func (deliveredBody) rest() bool { return false }
func (deliveredBody) close()     {}
