package stdio

import (
	"context"
	"io"

	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// Attach gives the guest's output to a client, and the client's input to the guest, until the guest
// has ended, a stream of the client fails, or ctx ends. If a Read of streams.Stdin or a Write still
// runs when Attach returns, the owner of the streams must end it. in is nil for a guest that takes
// no input from clients.
func Attach(ctx context.Context, out *Output, in *Input, streams runtime.Streams) error {
	release := func() {}
	if streams.Stdin != nil {
		var err error
		if release, err = in.take(); err != nil {
			return err
		}
	}
	defer release()
	ctx, stop := context.WithCancel(ctx)
	defer stop() // before another client may become the input
	// The client must see the guest's answer to the beginning of its input. So its output is
	// attached first.
	c := newClient(streams)
	if !out.add(c) {
		return nil
	}
	var failed chan error // nil if there is no input
	if streams.Stdin != nil {
		failed = make(chan error, 1)
		go feed(ctx, in, streams.Stdin, release, failed) // it ends with the reader, which belongs to the client
	}
	select {
	case <-c.done:
		select {
		case err := <-c.broken:
			return err
		default:
			return nil
		}
	case err := <-c.broken:
		out.remove(c)
		return err
	case err := <-failed:
		out.remove(c)
		return err
	case <-ctx.Done():
		out.remove(c)
		return ctx.Err()
	}
}

// feed gives input to a guest, and lets another client do so when the input has ended. It sends an
// error of the reader to failed.
func feed(ctx context.Context, in *Input, r io.Reader, release func(), failed chan<- error) {
	err := in.feed(ctx, r)
	release()
	if err != nil {
		failed <- err
	}
}
