package kubeletapi

import (
	"context"
	"errors"
	"io"
	"sync"

	"k8s.io/cri-streaming/pkg/streaming/remotecommand"
)

// terminal is the client's end of a guest's streams. If the client shows its user a terminal (tty),
// that terminal is in raw mode. Then the other side must do what a terminal does with keys and
// lines. WASI has no terminals, so keyboard and screen do it here. Both outputs go to the screen.
// The size of the terminal is ignored.
type terminal struct {
	ctx      context.Context //nolint:containedctx // of one call; it is made and ended there
	in       io.Reader
	out, err io.Writer

	end     context.CancelCauseFunc
	outputs []io.Closer
	work    sync.WaitGroup
}

// errInterrupt ends the context of a call whose user has pressed Ctrl-C.
var errInterrupt = errors.New("interrupted")

func newTerminal(ctx context.Context, opts *remotecommand.Options, in io.Reader, out, errOut io.WriteCloser, resize <-chan remotecommand.TerminalSize) *terminal {
	t := &terminal{}
	t.ctx, t.end = context.WithCancelCause(ctx)
	if opts.Stdin {
		t.in = in
	}
	if opts.Stdout && out != nil {
		t.out, t.outputs = out, append(t.outputs, out)
	}
	if opts.Stderr && errOut != nil {
		t.err, t.outputs = errOut, append(t.outputs, errOut)
	}
	if opts.TTY {
		t.cook()
	}
	// The sizes must be read, because an unread size would block the connection.
	t.work.Go(func() {
		for {
			select {
			case _, more := <-resize:
				if !more {
					return
				}
			case <-t.ctx.Done():
				return
			}
		}
	})
	return t
}

// cook puts the keyboard and the screen between the client and the guest.
func (t *terminal) cook() {
	echo := io.Discard
	if t.out != nil {
		shown := &screen{w: t.out}
		t.out, t.err, echo = shown, shown, shown
	}
	if t.in != nil {
		keys := newKeyboard(t.ctx.Done(), echo, func() { t.end(errInterrupt) })
		go keys.take(t.in) // it ends with the connection
		t.in = keys
	}
}

// interrupted reports whether the user interrupted the call.
func (t *terminal) interrupted() bool { return errors.Is(context.Cause(t.ctx), errInterrupt) }

// close tells the client that its outputs have ended, so that the client does not wait for more.
func (t *terminal) close() {
	t.end(nil)
	t.work.Wait()
	for _, output := range t.outputs {
		_ = output.Close() // an error means that the client has closed its connection
	}
}

// screen is an output on a terminal in raw mode. Such a terminal needs a carriage return before
// each newline.
type screen struct {
	mu sync.Mutex
	w  io.Writer
}

func (s *screen) Write(p []byte) (int, error) {
	shown := make([]byte, 0, len(p)+len(p)/16)
	for _, b := range p {
		if b == '\n' {
			shown = append(shown, '\r')
		}
		shown = append(shown, b)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.w.Write(shown); err != nil {
		return 0, err
	}
	return len(p), nil
}
