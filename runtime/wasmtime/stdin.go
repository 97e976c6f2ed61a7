package wasmtime

import (
	"context"
	"errors"
	"io"
	"sync"

	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// inlet is the standard input of a guest whose Spec keeps it open: what one after another is attached feeds it, and
// a guest that reads when nobody is attached waits. Nothing is stored in it.
type inlet struct {
	once bool        // the first to be attached ends it
	want chan []byte // where the guest's reader wants bytes
	got  chan int    // how many were put there

	mu   sync.Mutex
	fed  bool          // somebody is attached
	over bool          // end is closed
	end  chan struct{} // closed when nothing more comes
}

func newInlet(once bool) *inlet {
	return &inlet{once: once, want: make(chan []byte), got: make(chan int), end: make(chan struct{})}
}

// Read is for the guest: one call at a time.
func (i *inlet) Read(p []byte) (int, error) {
	select {
	case i.want <- p:
		return <-i.got, nil
	case <-i.end:
		return 0, io.EOF
	}
}

// openStdin makes the standard input of a guest: where it can be attached to, an inlet, to which r is attached first;
// else r itself, nil for none.
func openStdin(ctx context.Context, spec runtime.Spec, r io.Reader) (*inlet, io.Reader) {
	if !spec.Stdin {
		return nil, r
	}
	stdin := newInlet(spec.StdinOnce)
	if r != nil {
		if release, err := stdin.take(); err == nil {
			go feed(ctx, stdin, r, release, make(chan error, 1)) // ends with the reader, which is not ours
		}
	}
	return stdin, stdin
}

// close ends the input. It may be called more than once, and of no inlet.
func (i *inlet) close() {
	if i == nil {
		return
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if !i.over {
		i.over = true
		close(i.end)
	}
}

// take makes the caller the one that feeds the input, until release is called, which may be more than once. There is no
// nil inlet to be fed.
func (i *inlet) take() (release func(), err error) {
	if i == nil {
		return nil, runtime.ErrStdin
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.fed || i.over {
		return nil, runtime.ErrStdin
	}
	i.fed = true
	return sync.OnceFunc(i.release), nil
}

func (i *inlet) release() {
	i.mu.Lock()
	i.fed = false
	i.mu.Unlock()
	if i.once {
		i.close()
	}
}

// feed gives the guest what r has, until r ends, ctx ends, or the input does. The error is r's.
func (i *inlet) feed(ctx context.Context, r io.Reader) error {
	buf := make([]byte, pieceSize)
	for {
		n, err := r.Read(buf)
		for rest := buf[:n]; len(rest) > 0; {
			select {
			case p := <-i.want:
				n := 0
				if ctx.Err() == nil { // else somebody else may be attached already
					n = copy(p, rest)
				}
				i.got <- n
				rest = rest[n:]
			case <-ctx.Done():
				return nil
			case <-i.end:
				return nil
			}
		}
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return err
		}
	}
}
