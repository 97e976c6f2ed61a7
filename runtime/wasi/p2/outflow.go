package p2

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/http"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/http/client"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/p2/bindings"
)

// outflow is where the bytes of a body go.
//
// A guest may write the body of a message before it gives the message, and only one of its
// responses reaches a client. So the bytes wait here until then, and after that they go to the
// pipe.
type outflow struct {
	host     *Host
	response *outgoingResponse // nil for the body of a request
	early    bool              // the message is not given yet
	kept     []byte            // what was written until then
	exchange *http.Exchange    // what a response was given to
	pipe     *http.Pipe        // of the exchange, or of a request that is sent
	declared int64             // how many bytes there have to be, or less than 0
	written  uint64
	trailers []field
	flushed  time.Time
	end      error // why no more can be written: nil for a body that is open, io.EOF for a whole one
}

var (
	// errEarly is the error of a guest that waits for room in a body that no one can read, as it has
	// not given the message.
	errEarly = errors.New("the body of a message is full before the message is given")
	errEnded = errors.New("the body has ended")
)

// room is how many bytes can be written without a wait.
func (o *outflow) room() (int, error) {
	switch {
	case o.end != nil:
		return 0, errEnded
	case o.early:
		return max(min(maxEarly-len(o.kept), maxAllEarly-o.host.early), 0), nil
	}
	n, err := o.pipe.Room()
	if n == 0 && err == nil {
		o.publish() // the guest may ask again and again, and not wait
		n, err = o.pipe.Room()
	}
	return n, err
}

// publish tells the other end of all that was written. It sees what goes to a server at once.
func (o *outflow) publish() {
	if o.exchange != nil {
		o.exchange.Publish()
	}
}

// Ready implements wasi.Signal.
func (o *outflow) Ready() bool {
	n, err := o.room()
	return n > 0 || err != nil
}

// Notify implements wasi.Signal. Only the guest itself can make room in a body whose message it has
// not given.
func (o *outflow) Notify(tell func()) {
	if o.pipe != nil {
		o.pipe.OnSpace(tell)
	}
}

// write writes some of the bytes. It waits for room.
func (o *outflow) write(ctx context.Context, p []byte) (n int, err error) {
	if o.end != nil {
		return 0, errEnded
	}
	after := o.written + uint64(len(p))
	switch {
	case o.declared >= 0 && after > uint64(o.declared):
		err = &http.SizeError{Declared: uint64(o.declared), Written: after}
		o.stop(err)
	case o.early:
		n, err = o.keep(p)
	default:
		n, err = o.pass(ctx, p)
	}
	o.written += uint64(n)
	return n, err
}

// keep keeps some of the bytes until the message is given.
func (o *outflow) keep(p []byte) (int, error) {
	n, _ := o.room()
	if n == 0 {
		o.stop(errEarly)
		return 0, errEarly
	}
	n = min(n, len(p))
	o.kept = append(o.kept, p[:n]...)
	o.host.early += n
	return n, nil
}

// pass writes some of the bytes to the other end.
func (o *outflow) pass(ctx context.Context, p []byte) (int, error) {
	for {
		n, err := o.pipe.Write(p)
		switch {
		case n > 0: // the next write gets the error
			return n, nil
		case errors.Is(err, http.ErrNoMemory):
			o.stop(err)
			return 0, err
		case !wouldBlock(err):
			return 0, err
		}
		if err := o.host.guest.WaitFor(ctx, o); err != nil {
			return 0, err
		}
	}
}

// flushEvery is how often a flush tells the server. Most guests flush what is the end of a body, or
// each of many pieces. What is left is told when the guest waits, and at the end.
const flushEvery = 2 * time.Millisecond

// flush tells the server of what was written.
func (o *outflow) flush() error {
	if now := time.Now(); o.end == nil && o.exchange != nil && now.Sub(o.flushed) >= flushEvery {
		o.flushed = now
		o.publish()
	}
	_, err := o.room()
	return err
}

// waitForRoom waits until more can be written. No one makes room in a body whose response the guest
// has not given, as long as it waits.
func (o *outflow) waitForRoom(ctx context.Context) error {
	if o.early && !o.Ready() {
		o.stop(errEarly)
		return errEarly
	}
	return o.host.guest.WaitFor(ctx, o)
}

// stop ends a body that is not whole. Nothing happens to one that has ended.
func (o *outflow) stop(why error) {
	if o.end != nil {
		return
	}
	o.end = why
	o.forget()
	if o.pipe != nil {
		o.pipe.End(nil, why)
		o.publish()
	}
}

// forget drops what is kept.
func (o *outflow) forget() {
	o.host.early -= len(o.kept)
	o.kept = nil
}

// finish ends a whole body. The error says why it is not whole. It is not the guest's fault if the
// client is gone.
func (o *outflow) finish(trailers []field) error {
	switch {
	case errors.Is(o.end, http.ErrNoResponse), errors.Is(o.end, http.ErrAnswered), errors.Is(o.end, http.ErrUnsent):
		return nil
	case o.end != nil:
		return o.end
	}
	if o.pipe != nil {
		if _, err := o.pipe.Room(); err != nil {
			o.end = err
			return nil
		}
	}
	// Without a byte, the response's status may still say that it has none.
	if err := o.complete(); err != nil && !(o.early && o.written == 0) {
		o.stop(err)
		return err
	}
	o.end, o.trailers = io.EOF, trailers
	if o.pipe != nil {
		o.pipe.End(trailers, nil)
		o.publish()
	}
	return nil
}

// code is the code of an error of finish.
func (o *outflow) code(err error) bindings.HTTPErrorCode {
	var size *http.SizeError
	if o.response == nil && errors.As(err, &size) {
		err = &client.Error{Code: client.RequestBodySize, Err: size}
	}
	return codeOf(err, bindings.HTTPErrorCodeConnectionWriteTimeout)
}

// complete returns an error if there are too few bytes.
func (o *outflow) complete() error {
	if o.declared < 0 || o.written == uint64(o.declared) || o.response != nil && o.written == 0 && o.response.bodiless(o.exchange) {
		return nil
	}
	return &http.SizeError{Declared: uint64(o.declared), Written: o.written}
}

// answer gives the response of the body to an exchange, and then the bytes. The error says why
// there is no response.
func (o *outflow) answer(e *http.Exchange) error {
	o.early = false
	err := o.answerTo(e)
	if err != nil {
		o.exchange, o.pipe = nil, nil // they may have the response of another body
		o.stop(err)
	}
	o.forget()
	return err
}

func (o *outflow) answerTo(e *http.Exchange) error {
	o.exchange, o.pipe = e, e.Answer
	if o.end != nil {
		err := o.end
		if errors.Is(err, io.EOF) {
			err = o.complete()
		}
		if err != nil {
			return err
		}
	}
	if err := e.Respond(o.response.head()); err != nil {
		return err
	}
	return o.pour()
}

// pour writes what was kept to the pipe.
func (o *outflow) pour() error {
	if n, err := o.pipe.Write(o.kept); n < len(o.kept) {
		if wouldBlock(err) || err == nil {
			err = http.ErrNoMemory // the pipe of a message that begins has room for all of it
		}
		o.pipe.End(nil, err)
		return err
	}
	if o.end != nil {
		o.pipe.End(o.trailers, nil)
	}
	return nil
}

// send gives the request of the body to the pipe of one that is to be sent, with the bytes.
func (o *outflow) send(pipe *http.Pipe) error {
	o.early, o.pipe = false, pipe
	defer o.forget()
	if o.end != nil && !errors.Is(o.end, io.EOF) {
		pipe.End(nil, o.end) // the request was not finished: who sends it says so
		return nil
	}
	if o.end != nil && o.complete() != nil {
		return o.complete()
	}
	return o.pour()
}
