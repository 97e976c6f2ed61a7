package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/worker/wire"
	"github.com/krustlet-go/krustlet-wasi/runtime/worker/workerpb"
)

type serverStream = grpc.BidiStreamingServer[workerpb.Input, workerpb.Output]

// Exec implements the protocol.
func (s *server) Exec(stream serverStream) error {
	open, err := receiveOpen(stream)
	if err != nil {
		return err
	}
	t := newTerminal(stream)
	defer t.close()
	e, startedAt, err := s.start(stream.Context(), request{spec: wire.FromSpec(open.GetSpec()), command: true}, t.streams(open))
	if err != nil {
		return t.send(&workerpb.Output{Kind: &workerpb.Output_Failure{Failure: wire.ToFailure(err)}})
	}
	defer context.AfterFunc(stream.Context(), func() { e.guest.Stop(0) })()
	t.begin(&s.work, wire.ToTime(startedAt))
	<-e.ended
	return t.send(&workerpb.Output{Kind: &workerpb.Output_Exit{Exit: s.table.removeCommand(e)}})
}

// Attach implements the protocol.
func (s *server) Attach(stream serverStream) error {
	open, err := receiveOpen(stream)
	if err != nil {
		return err
	}
	t := newTerminal(stream)
	defer t.close()
	guest := s.table.guest(open.GetId())
	if guest == nil {
		return t.send(&workerpb.Output{Kind: &workerpb.Output_Failure{Failure: wire.ToFailure(wire.ErrUnknown)}})
	}
	t.begin(&s.work, 0)
	if err := guest.Attach(stream.Context(), t.streams(open)); err != nil {
		return t.send(&workerpb.Output{Kind: &workerpb.Output_Failure{Failure: wire.ToFailure(err)}})
	}
	return t.send(&workerpb.Output{Kind: &workerpb.Output_Ended{Ended: true}})
}

func receiveOpen(stream serverStream) (*workerpb.Open, error) {
	in, err := stream.Recv()
	if err != nil {
		return nil, err
	}
	if in.GetOpen() == nil {
		return nil, status.Error(codes.InvalidArgument, "the first message must be open")
	}
	return in.GetOpen(), nil
}

// terminal is the guest's side of a stream of Exec or Attach. The messages of the stream carry the
// guest's standard streams.
type terminal struct {
	stream  serverStream
	sending chan struct{} // has a token while no message is being sent
	begun   chan struct{} // closed when output may be sent
	closed  chan struct{} // closed when the call returns
	stdin   *io.PipeReader
	input   *io.PipeWriter

	mu     sync.Mutex
	broken [2]error // why writes to stdout and stderr fail from now on
}

func newTerminal(stream serverStream) *terminal {
	t := &terminal{stream: stream, sending: make(chan struct{}, 1), begun: make(chan struct{}), closed: make(chan struct{})}
	t.sending <- struct{}{}
	t.stdin, t.input = io.Pipe()
	return t
}

// streams are the streams that the agent has connected.
func (t *terminal) streams(open *workerpb.Open) runtime.Streams {
	var streams runtime.Streams
	if open.GetStdin() {
		streams.Stdin = t.stdin
	}
	if open.GetStdout() {
		streams.Stdout = &outlet{t, 0}
	}
	if open.GetStderr() {
		streams.Stderr = &outlet{t, 1}
	}
	return streams
}

// begin tells the agent that the guest runs, allows output, and starts a goroutine that reads
// input. work waits for this goroutine.
func (t *terminal) begin(work *sync.WaitGroup, startedAt int64) {
	// If this fails, all following calls fail, too.
	_ = t.send(&workerpb.Output{Kind: &workerpb.Output_Started{Started: startedAt}})
	close(t.begun)
	work.Go(t.receive)
}

// receive reads the agent's messages, until the call has returned.
func (t *terminal) receive() {
	for {
		in, err := t.stream.Recv()
		if err != nil {
			// The agent has closed its side, or the connection broke. A broken connection also ends
			// the guest.
			_ = t.input.Close()
			return
		}
		switch in.GetKind().(type) {
		case *workerpb.Input_Stdin:
			// This waits until the guest has read the bytes, or has ended.
			_, _ = t.input.Write(in.GetStdin())
		case *workerpb.Input_StdinEnd:
			_ = t.input.Close()
		case *workerpb.Input_Broken:
			t.setBroken(in.GetBroken())
		}
	}
}

func (t *terminal) setBroken(b *workerpb.Broken) {
	t.mu.Lock()
	defer t.mu.Unlock()
	side := 0
	if b.GetStderr() {
		side = 1
	}
	t.broken[side] = errors.New(b.GetText())
}

// send sends one message. It waits while the agent does not read.
func (t *terminal) send(out *workerpb.Output) error {
	select {
	case <-t.sending:
	case <-t.stream.Context().Done():
		return t.stream.Context().Err()
	case <-t.closed:
		return io.ErrClosedPipe
	}
	defer func() { t.sending <- struct{}{} }()
	return t.stream.Send(out)
}

// close makes all further use of the guest's streams fail.
func (t *terminal) close() {
	close(t.closed)
	_ = t.stdin.Close()
}

// outlet is stdout (0) or stderr (1).
type outlet struct {
	t    *terminal
	side int
}

// Write implements io.Writer.
func (o *outlet) Write(p []byte) (int, error) {
	select {
	case <-o.t.begun:
	case <-o.t.closed:
		return 0, io.ErrClosedPipe
	}
	for sent := 0; sent < len(p); {
		o.t.mu.Lock()
		err := o.t.broken[o.side]
		o.t.mu.Unlock()
		if err != nil {
			return sent, fmt.Errorf("reading from the agent: %w", err)
		}
		piece := p[sent:min(len(p), sent+wire.Chunk)]
		out := &workerpb.Output{Kind: &workerpb.Output_Stdout{Stdout: piece}}
		if o.side == 1 {
			out.Kind = &workerpb.Output_Stderr{Stderr: piece}
		}
		if err := o.t.send(out); err != nil {
			return sent, err
		}
		sent += len(piece)
	}
	return len(p), nil
}
