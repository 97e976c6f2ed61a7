package stdio

import (
	"context"
	"errors"
	"io"
	"sync"

	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// Input is the standard input of a guest whose Spec keeps it open. One client after another gives
// it bytes. A guest that reads when no client is attached waits. The Input stores no bytes.
type Input struct {
	once bool        // the end of the first client ends it
	want chan []byte // buffers that the guest's reader wants to be filled
	got  chan int    // number of bytes that were put there

	mu     sync.Mutex
	fed    bool          // whether a client is attached
	closed bool          // whether end is closed
	end    chan struct{} // closed when no more bytes will come
}

// OpenInput makes the standard input of a guest. If the guest's Spec keeps it open, it returns an
// Input, and r is its first client. Otherwise it returns a nil Input, and r itself. r may be nil.
func OpenInput(ctx context.Context, spec runtime.Spec, r io.Reader) (*Input, io.Reader) {
	if !spec.Stdin {
		return nil, r
	}
	in := newInput(spec.StdinOnce)
	if r != nil {
		if release, err := in.take(); err == nil {
			go feed(ctx, in, r, release, make(chan error, 1)) // it ends with the reader, which belongs to the client
		}
	}
	return in, in
}

func newInput(once bool) *Input {
	return &Input{once: once, want: make(chan []byte), got: make(chan int), end: make(chan struct{})}
}

// Read is for the guest. Only one call may run at a time.
func (i *Input) Read(p []byte) (int, error) {
	select {
	case i.want <- p:
		return <-i.got, nil
	case <-i.end:
		return 0, io.EOF
	}
}

// Close ends the input. It may be called more than once, and on a nil Input.
func (i *Input) Close() {
	if i == nil {
		return
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if !i.closed {
		i.closed = true
		close(i.end)
	}
}

// take makes the caller the client that feeds the input, until it calls release. It may call
// release more than once. A nil Input takes no client.
func (i *Input) take() (release func(), err error) {
	if i == nil {
		return nil, runtime.ErrStdin
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.fed || i.closed {
		return nil, runtime.ErrStdin
	}
	i.fed = true
	return sync.OnceFunc(i.release), nil
}

func (i *Input) release() {
	i.mu.Lock()
	i.fed = false
	i.mu.Unlock()
	if i.once {
		i.Close()
	}
}

// feed gives the bytes of r to the guest, until r, ctx or the input ends. The error is r's.
func (i *Input) feed(ctx context.Context, r io.Reader) error {
	buf := make([]byte, pieceSize)
	for {
		n, err := r.Read(buf)
		for rest := buf[:n]; len(rest) > 0; {
			select {
			case p := <-i.want:
				n := 0
				if ctx.Err() == nil { // otherwise another client may already be attached
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
