package p3

import (
	"context"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/canon"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/instance"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/typed"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/types"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/http"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/p3/bindings"
)

type (
	sentResult    = result[bindings.HTTPErrorCode]
	httpFuture    = typed.Future[sentResult]
	trailerResult = typed.Result[typed.Option[bindings.Trailers], bindings.HTTPErrorCode]
	trailerFuture = typed.Future[trailerResult]
	httpBody      = typed.Tuple2[byteStream, trailerFuture]
)

var (
	sentCodec    = instance.Codec[sentResult](bindings.ElementResultNoneHTTPErrorCode)
	trailerCodec = instance.Codec[trailerResult](bindings.ElementResultOptionTrailersHTTPErrorCode)
)

// message is what requests and responses have. The host reads nothing of its body: the guest's
// streams wait in it until the message is consumed, dropped, or given as the response.
type message struct {
	host    *Host
	headers *http.Fields
	// from is the body of a message that came from outside, and nil of what a guest made. With it
	// there is nothing in the rest.
	from *arrival

	contents typed.Option[byteStream]
	trailers trailerFuture
	sent     promise
}

func (h *Host) message(headers bindings.Headers, contents typed.Option[byteStream], trailers trailerFuture) (message, error) {
	if err := h.web.Take(); err != nil {
		return message{}, err
	}
	m := message{host: h, headers: headers.(*fields).of, contents: contents, trailers: trailers}
	m.headers.Freeze()
	return m, nil
}

// future says how the message was sent: not at all, unless a guest consumes it.
func (m *message) future() httpFuture {
	return future(m.host, &m.sent, bindings.ElementResultNoneHTTPErrorCode, httpCode)
}

// release ends what a message has beside its body.
func (m *message) release() {
	m.headers.Drop()
	m.host.web.Give()
}

// Drop implements typed.Resource.
func (m *message) Drop() {
	if m.from != nil {
		m.release()
		m.from.cut(nil)
		return
	}
	m.discard(errHTTPDenied)
}

// discard ends a message that the guest made: it was not sent, for a reason.
func (m *message) discard(why error) {
	m.release()
	m.close()
	m.sent.end(why)
}

// hasBody reports whether there may be bytes in the message.
func (m *message) hasBody() bool {
	if m.from != nil {
		return m.from.pipe != nil
	}
	return m.contents.Is
}

// abandon ends a message that cannot be sent, whose other parts are released.
func (m *message) abandon(why error) {
	if m.from != nil {
		m.release()
		m.from.cut(nil)
		return
	}
	m.discard(why)
}

// close ends the guest's streams of a message.
func (m *message) close() {
	if m.from != nil {
		return
	}
	if m.contents.Is {
		instance.ReadStream(m.host.x, m.contents.Value.Handle, instance.Codec[byte]{}).Close()
	}
	instance.ReadFuture(m.host.x, m.trailers.Handle, trailerCodec).Close()
}

// GetHeaders implements both messages.
func (m *message) GetHeaders(context.Context) (bindings.Headers, error) {
	return resource(m.headers.View())
}

// consume ends the message, and returns its body to a guest, which tells by a future how it handled
// that.
func (m *message) consume(handled httpFuture) (b httpBody) {
	m.release()
	if m.from != nil {
		return m.from.consume(handled)
	}
	sent := &m.sent
	instance.ReadFuture(m.host.x, handled.Handle, sentCodec).Read(func(r sentResult) {
		if r.Failed {
			sent.end(short(r.Error))
			return
		}
		sent.end(nil)
	})
	b.A = m.contents.Value
	if !m.contents.Is {
		b.A = failedStream(m.host, nil, &promise{}, bindings.ElementU8)
	}
	b.B = m.host.relay(m.trailers)
	return b
}

// relay is a future of trailers with the value of another one. The guest may have both ends of
// that, and trailers cannot move within one guest.
func (h *Host) relay(trailers trailerFuture) trailerFuture {
	return trailerFuture{Make: func(t *types.Type) canon.Handle {
		r := instance.ReadFuture(h.x, trailers.Handle, trailerCodec)
		w, handle := instance.NewFuture(h.x, t, trailerCodec)
		read := false
		w.OnDrop(func() {
			if !read {
				r.Close()
				w.Close()
			}
		})
		r.Read(func(v trailerResult) {
			read = true
			v.Error = short(v.Error)
			if !v.OK.Is {
				w.Write(v)
				return
			}
			v.OK.Value.(*fields).of.Freeze()
			w.WriteOr(v, v.OK.Value.Drop)
		})
		return handle
	}}
}

// short is a code of a guest without its long texts, as the host holds it.
func short(code bindings.HTTPErrorCode) bindings.HTTPErrorCode {
	for _, text := range []*typed.Option[string]{
		&code.DNSError.Rcode, &code.TLSAlertReceived.AlertMessage, &code.HTTPRequestHeaderSize.Value.FieldName,
		&code.HTTPRequestTrailerSize.FieldName, &code.HTTPResponseHeaderSize.FieldName, &code.HTTPResponseTrailerSize.FieldName,
		&code.HTTPResponseTransferCoding, &code.HTTPResponseContentCoding, &code.InternalError,
	} {
		if len(text.Value) > maxReason {
			*text = typed.Option[string]{}
		}
	}
	return code
}
