package p3

import (
	"context"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/typed"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/p3/bindings"
)

type (
	byteStream = typed.Stream[uint8]
	cliFuture  = typed.Future[result[bindings.CLIErrorCode]]
)

// stdin, stdout and stderr have the functions of the interfaces of these names.
type (
	stdin  struct{ host *Host }
	stdout struct{ host *Host }
	stderr struct{ host *Host }
)

// ReadViaStream implements bindings.StdinHost.
func (s stdin) ReadViaStream(context.Context) (typed.Tuple2[byteStream, cliFuture], error) {
	p := &promise{}
	from := &inputSource{input: &s.host.input}
	return typed.Tuple2[byteStream, cliFuture]{
		A: stream(s.host, from, probeBytes, p, bindings.ElementU8), B: s.host.cliFuture(p),
	}, nil
}

// input is the standard input, which several streams may read.
type input struct {
	host    *Host
	waiting map[*inputSource]func() // those that wait for bytes, with what they do then
	told    bool                    // the input is asked to tell
}

// inputSource is a source of the bytes of the input.
type inputSource struct{ input *input }

func (s *inputSource) next(n int) ([]byte, error) {
	h := s.input.host
	b := h.guest.Scratch(min(n, piece))
	n, err := h.guest.Stdin().Peek(b)
	return b[:n], err
}

func (s *inputSource) took(n int) { s.input.host.guest.Stdin().Discard(n) }

func (s *inputSource) wait(ready func()) (stop func(), err error) {
	i := s.input
	if i.waiting == nil {
		i.waiting = map[*inputSource]func(){}
	}
	i.waiting[s] = ready
	if !i.told {
		i.told = true
		x := i.host.x
		i.host.guest.Stdin().Notify(func() { x.Post(i.tell) })
	}
	return func() { delete(i.waiting, s) }, nil
}

// tell tells all that wait. One of them takes the bytes, and the others wait again.
func (i *input) tell() {
	i.told = false
	waiting := i.waiting
	i.waiting = nil
	for _, ready := range waiting {
		ready()
	}
}

func (*inputSource) close() {}

// WriteViaStream implements bindings.StdoutHost.
func (s stdout) WriteViaStream(_ context.Context, data byteStream) (cliFuture, error) {
	return s.host.write(s.host.guest.Stdout(), data), nil
}

// WriteViaStream implements bindings.StderrHost.
func (s stderr) WriteViaStream(_ context.Context, data byteStream) (cliFuture, error) {
	return s.host.write(s.host.guest.Stderr(), data), nil
}

func (h *Host) write(o *wasi.Output, data byteStream) cliFuture {
	p := &promise{}
	h.drain(data, &outputSink{host: h, output: o}, p)
	return h.cliFuture(p)
}

// outputSink writes to a standard stream, at the rate that the guest may have.
type outputSink struct {
	host   *Host
	output *wasi.Output
}

func (s *outputSink) open() int {
	if s.output.Unbounded() {
		return piece
	}
	return 0
}

func (s *outputSink) room(n int) (int, error) {
	return s.output.Grant(n), nil
}

func (s *outputSink) put(b []byte) error { return s.output.Put(s.host.ctx, b) }

func (s *outputSink) wait(ready func()) (stop func(), err error) {
	t := s.host.timers.after(wasi.PauseForRate, ready)
	return func() { t.stop() }, nil
}

func (*outputSink) rest() bool { return false }
func (*outputSink) close()     {}
