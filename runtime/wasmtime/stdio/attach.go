package stdio

import (
	"context"
	"io"

	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// Attach gives a client the guest's output, and the guest the client's input, until the guest has
// ended, a stream of the client fails, or ctx ends. A Read of streams.Stdin and a Write that are
// under way when it returns are left to the owner of the streams. in is nil for a guest that takes
// no input of clients.
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
	defer stop() // before another client may feed the guest
	// The client sees what the guest says to the first of its input: so its output is attached
	// first.
	c := newClient(streams)
	if !out.add(c) {
		return nil
	}
	var failed chan error // nil for no input
	if streams.Stdin != nil {
		failed = make(chan error, 1)
		go feed(ctx, in, streams.Stdin, release, failed) // ends with the reader, which is not ours
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

// feed gives a guest its input, and lets another client feed it when that has ended. It sends an
// error of the reader.
func feed(ctx context.Context, in *Input, r io.Reader, release func(), failed chan<- error) {
	err := in.feed(ctx, r)
	release()
	if err != nil {
		failed <- err
	}
}
