package pool

import (
	"io"
	"sync"

	"google.golang.org/grpc"

	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/worker/wire"
	"github.com/krustlet-go/krustlet-wasi/runtime/worker/workerpb"
)

// pipe is the agent's side of an Exec or an Attach: it carries the caller's streams.
type pipe struct {
	stream  grpc.BidiStreamingClient[workerpb.Input, workerpb.Output]
	streams runtime.Streams
	giveUp  <-chan struct{} // closed when a blocked writer is abandoned

	sending sync.Mutex

	mu     sync.Mutex
	failed error // the first error of a writer
}

// open sends the first message.
func (p *pipe) open(o *workerpb.Open) error {
	o.Stdin, o.Stdout, o.Stderr = p.streams.Stdin != nil, p.streams.Stdout != nil, p.streams.Stderr != nil
	return p.send(&workerpb.Input{Kind: &workerpb.Input_Open{Open: o}})
}

// send sends one message. It waits while the guest does not read. If send fails, receive fails,
// too, and returns the reason.
func (p *pipe) send(in *workerpb.Input) error {
	p.sending.Lock()
	defer p.sending.Unlock()
	return p.stream.Send(in)
}

// feed gives standard input to the guest, until its end or the end of the call. A Read that then
// still blocks is abandoned: it returns when the owner of the reader closes it.
func (p *pipe) feed() {
	if p.streams.Stdin == nil {
		return
	}
	for buf := make([]byte, wire.Chunk); ; {
		n, err := p.streams.Stdin.Read(buf)
		if n > 0 && p.send(&workerpb.Input{Kind: &workerpb.Input_Stdin{Stdin: buf[:n]}}) != nil {
			return
		}
		if err != nil {
			// An input that fails ends at this point, like a broken pipe.
			_ = p.send(&workerpb.Input{Kind: &workerpb.Input_StdinEnd{StdinEnd: true}})
			return
		}
	}
}

// receive gives output to the writers until the last message. It returns the last message when all
// output before it is written or abandoned.
func (p *pipe) receive() (*workerpb.Output, error) {
	pieces, written := make(chan *workerpb.Output, 1), make(chan struct{})
	go func() {
		defer close(written)
		for out := range pieces {
			p.write(out)
		}
	}()
	last, err := p.pass(pieces)
	close(pieces)
	select {
	case <-written:
	case <-p.giveUp: // a blocked Write returns when the owner of the writer closes it
	}
	return last, err
}

// pass sends output to pieces in order, and returns the first message that is not output.
func (p *pipe) pass(pieces chan<- *workerpb.Output) (*workerpb.Output, error) {
	for {
		out, err := p.stream.Recv()
		if err != nil {
			return nil, err
		}
		switch out.GetKind().(type) {
		case *workerpb.Output_Started:
		case *workerpb.Output_Stdout, *workerpb.Output_Stderr:
			select {
			case pieces <- out:
			case <-p.giveUp:
			}
		default:
			return out, nil
		}
	}
}

// write writes a piece of output. If that fails, it tells the guest.
func (p *pipe) write(out *workerpb.Output) {
	w, text, isStderr := p.streams.Stdout, out.GetStdout(), false
	if _, ok := out.GetKind().(*workerpb.Output_Stderr); ok {
		w, text, isStderr = p.streams.Stderr, out.GetStderr(), true
	}
	n, err := w.Write(text)
	if err == nil && n < len(text) {
		err = io.ErrShortWrite
	}
	if err == nil {
		return
	}
	p.mu.Lock()
	first := p.failed == nil
	if first {
		p.failed = err
	}
	p.mu.Unlock()
	if first {
		broken := &workerpb.Broken{Stderr: isStderr, Text: err.Error()}
		// This runs in a goroutine, because send waits while the guest does not read its input.
		go func() { _ = p.send(&workerpb.Input{Kind: &workerpb.Input_Broken{Broken: broken}}) }()
	}
}

// failure is the error that a worker reports, or the error of the caller's writer that caused it.
func (p *pipe) failure(f *workerpb.Failure) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.failed != nil {
		return p.failed
	}
	return wire.FromFailure(f)
}
