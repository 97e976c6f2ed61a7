package wasmtime

import (
	"context"
	"io"

	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// Attach implements runtime.Process. A Read of streams.Stdin and a Write that are under way when it returns are left to
// the owner of the streams.
func (g *guest) Attach(ctx context.Context, streams runtime.Streams) error {
	g.mu.Lock()
	out, stdin, ended := g.out, g.stdin, g.ended
	g.mu.Unlock()
	if ended {
		return nil
	}
	release := func() {}
	if streams.Stdin != nil {
		var err error
		if release, err = stdin.take(); err != nil {
			return err
		}
	}
	defer release()
	ctx, stop := context.WithCancel(ctx)
	defer stop() // before another may feed the guest
	// What the guest says to the first input is for who gave it.
	at := newAttachment(streams)
	if !out.add(at) {
		return nil
	}
	var broken chan error // nil for no input
	if streams.Stdin != nil {
		broken = make(chan error, 1)
		go feed(ctx, stdin, streams.Stdin, release, broken) // ends with the reader, which is not ours
	}
	select {
	case <-at.done:
		select {
		case err := <-at.broken:
			return err
		default:
			return nil
		}
	case err := <-at.broken:
		out.detach(at)
		return err
	case err := <-broken:
		out.detach(at)
		return err
	case <-ctx.Done():
		out.detach(at)
		return ctx.Err()
	}
}

// feed gives a guest its input, and makes place for another when that has ended. A failure is told.
func feed(ctx context.Context, stdin *inlet, r io.Reader, release func(), broken chan<- error) {
	err := stdin.feed(ctx, r)
	release()
	if err != nil {
		broken <- err
	}
}
