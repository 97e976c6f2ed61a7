package p3

import (
	"errors"
	"io"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/canon"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/instance"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/typed"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/types"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/http"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/p3/bindings"
)

// arrival is the body of a message that came from outside: of a request that the guest answers, or
// of a response to its own.
type arrival struct {
	host     *Host
	pipe     *http.Pipe     // nil if there is no body
	flow     *outflow[byte] // the guest's stream, or nil
	over     bool           // the pipe is not read any more
	read     bool           // all of it was read, and there may be trailers
	body     promise        // kept when the stream has ended
	response bool
}

// detach has the pipe tell nothing any more.
func (r *arrival) detach() {
	if r.pipe != nil {
		r.pipe.OnBytes(nil)
	}
}

// trailerSize is the code of trailers that are too large.
func (r *arrival) trailerSize() bindings.HTTPErrorCodeCase {
	if r.response {
		return bindings.HTTPErrorCodeHTTPResponseTrailerSectionSize
	}
	return bindings.HTTPErrorCodeHTTPRequestTrailerSectionSize
}

// cut ends the body for the guest, if it has no end: with an error, or because the guest
// wants no more of it.
func (r *arrival) cut(why error) {
	switch {
	case r.over:
	case r.flow != nil:
		r.flow.end(why)
	default:
		r.leave()
		r.body.end(why)
	}
}

// consume is the body for the guest. What the guest says of how it handled that concerns no one.
func (r *arrival) consume(handled httpFuture) (b httpBody) {
	instance.ReadFuture(r.host.x, handled.Handle, sentCodec).Read(func(sentResult) {})
	switch {
	case r.over: // the message has its end
		b.A = failedStream(r.host, nil, &promise{}, bindings.ElementU8)
	case r.pipe == nil:
		r.over = true
		b.A = failedStream(r.host, nil, &r.body, bindings.ElementU8)
	default:
		r.flow = &outflow[byte]{host: r.host, from: arrivedBody{r}, probe: probeBytes, promise: &r.body}
		b.A = r.flow.stream(bindings.ElementU8)
	}
	b.B.Make = r.trailersOf
	return b
}

// trailersOf makes the future of the trailers, which has them when the stream has ended.
func (r *arrival) trailersOf(t *types.Type) canon.Handle {
	w, handle := instance.NewFuture(r.host.x, t, trailerCodec)
	r.body.write = func(err error) {
		v := r.trailers(err)
		if r.response {
			r.pipe.Close(nil) // who sent the request waits for it
		}
		if !v.OK.Is {
			w.Write(v)
			return
		}
		w.WriteOr(v, v.OK.Value.Drop)
	}
	if r.body.ended {
		r.body.write(r.body.err)
	}
	return handle
}

// trailers are those of the body, or why there are none.
func (r *arrival) trailers(err error) trailerResult {
	if err != nil {
		return typed.Fail[typed.Option[bindings.Trailers]](httpCode(err))
	}
	var list []http.Field
	if r.read {
		list = r.pipe.Trailers()
	}
	if len(list) == 0 {
		return trailerResult{}
	}
	of, err := http.Received(&r.host.web, list)
	if err != nil {
		return typed.Fail[typed.Option[bindings.Trailers]](bindings.HTTPErrorCode{Case: r.trailerSize()})
	}
	return typed.OK[typed.Option[bindings.Trailers], bindings.HTTPErrorCode](typed.Some[bindings.Trailers](&fields{of}))
}

// arrivedBody is a source of the bytes of a body.
type arrivedBody struct{ *arrival }

func (b arrivedBody) next(n int) ([]byte, error) {
	bytes, err := b.pipe.Bytes()
	switch {
	case err == nil:
		return bytes[:min(n, len(bytes))], nil
	case errors.Is(err, io.EOF):
		b.read = true
		return nil, err
	case isWait(err):
		return nil, err
	}
	return nil, lost(err, bindings.HTTPErrorCodeConnectionReadTimeout)
}

func (b arrivedBody) took(n int) { b.pipe.Discard(n) }

func (b arrivedBody) wait(ready func()) (stop func(), err error) {
	x, body := b.host.x, b.pipe
	body.OnBytes(func() { x.Post(ready) })
	return func() { body.OnBytes(nil) }, nil
}

func (b arrivedBody) close() { b.leave() }

// leave says that the body is not read any more.
func (r *arrival) leave() {
	r.over = true
	if r.pipe != nil && !r.read {
		r.pipe.Close(nil)
	}
}
