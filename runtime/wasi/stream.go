package wasi

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"
)

// Input is standard input. Its reader may block for any time. So a separate goroutine reads one
// buffer ahead, after the guest first uses its input. That goroutine ends with the reader, or after
// Close when the running read returns.
type Input struct {
	guest  *Guest
	r      io.Reader     // nil: the input is empty
	room   chan struct{} // nil if the input is empty
	closed chan struct{} // likewise

	mu      sync.Mutex
	running bool
	ahead   []byte // bytes that were read but not yet taken by the guest
	end     error  // what follows those bytes: io.EOF, an error, or nil if it is not known yet
	waiting func() // called once when one of these changes
}

// inputBuffer is how many bytes of its input are read ahead for a guest, at most.
const inputBuffer = 64 << 10

func newInput(g *Guest, r io.Reader) *Input {
	i := &Input{guest: g, r: r}
	if r == nil {
		i.end = io.EOF
		return i
	}
	i.room, i.closed = make(chan struct{}, 1), make(chan struct{})
	return i
}

// Type implements Object.
func (*Input) Type() FileType { return TypeUnknown }

// Stat implements Object.
func (*Input) Stat() (Stat, error) { return Stat{Type: TypeUnknown, Links: 1}, nil }

// Close implements Object. The guest reads no more of its input; the reader stays open.
func (i *Input) Close(context.Context) error {
	if i.closed != nil {
		close(i.closed)
	}
	i.guest.room.open--
	return nil
}

// finish ends the input after the bytes that were already read.
func (i *Input) finish() {
	i.mu.Lock()
	if i.end == nil {
		i.end = io.EOF
	}
	tell := i.takeWaiting()
	i.mu.Unlock()
	i.guest.waker.ring()
	if tell != nil {
		tell()
	}
}

// takeWaiting returns what waits, or nil. It is called after mu is unlocked.
func (i *Input) takeWaiting() func() {
	tell := i.waiting
	i.waiting = nil
	return tell
}

// pump reads ahead.
func (i *Input) pump() {
	storage := make([]byte, inputBuffer)
	for {
		n, err := i.r.Read(storage)
		if !i.put(storage[:n], err) {
			return
		}
		if n == 0 {
			continue
		}
		select {
		case <-i.room:
		case <-i.closed:
			return
		}
	}
}

// put adds the bytes and the error that the reader returned. It reports whether to read on.
func (i *Input) put(p []byte, err error) bool {
	i.mu.Lock()
	if i.end != nil {
		i.mu.Unlock()
		i.guest.waker.ring()
		return false
	}
	i.ahead, i.end = p, err
	tell := i.takeWaiting()
	i.mu.Unlock()
	i.guest.waker.ring()
	if tell != nil {
		tell()
	}
	return err == nil
}

// Peek copies available bytes into p and leaves them there: Discard takes them. It does not wait.
// The error is ErrWouldBlock if there are none yet, and io.EOF at the end.
func (i *Input) Peek(p []byte) (int, error) {
	switch ahead, end := i.state(); {
	case ahead > 0:
	case end != nil:
		return 0, end
	default:
		return 0, ErrWouldBlock
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	return copy(p, i.ahead), nil
}

// Discard takes up to n bytes, of those that Peek showed.
func (i *Input) Discard(n int) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.drop(min(n, len(i.ahead)))
}

// Notify has f called once, when Peek would have bytes or an end: by another goroutine, or by
// Notify itself if that is so already. There is one f at a time: a later Notify replaces it, also
// by nil. f must not call the guest.
func (i *Input) Notify(f func()) {
	if f != nil {
		_, _ = i.state() // which begins to read ahead; what there is then, is seen under the lock
	}
	i.mu.Lock()
	i.waiting = f
	if len(i.ahead) > 0 || i.end != nil {
		i.waiting = nil
	} else {
		f = nil
	}
	i.mu.Unlock()
	if f != nil {
		f()
	}
}

// state starts reading ahead. It returns the number of available bytes, or the end.
func (i *Input) state() (ahead int, end error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.end == nil && !i.running {
		i.running = true
		go i.pump() // it ends with the reader, or after Close
	}
	return len(i.ahead), i.end
}

// take takes bytes that were read ahead.
func (i *Input) take(p []byte) int {
	i.mu.Lock()
	defer i.mu.Unlock()
	n := copy(p, i.ahead)
	i.drop(n)
	return n
}

// drop drops the first n bytes, and lets more be read when none are left.
func (i *Input) drop(n int) {
	i.ahead = i.ahead[n:]
	if n > 0 && len(i.ahead) == 0 {
		select {
		case i.room <- struct{}{}:
		default:
		}
	}
}

// Read fills the buffers with available bytes, and returns their number; 0 means the end. It waits
// if there are none; if nonblock is set, the error is ErrWouldBlock instead.
func (i *Input) Read(ctx context.Context, bufs [][]byte, nonblock bool) (int, error) {
	if sizeOf(bufs) == 0 {
		return 0, nil
	}
	for {
		ahead, end := i.state()
		switch {
		case ahead > 0:
			return i.fill(bufs), nil
		case errors.Is(end, io.EOF):
			return 0, nil
		case end != nil:
			return 0, end
		case nonblock:
			return 0, ErrWouldBlock
		}
		if err := i.guest.pause(ctx, noDeadline); err != nil {
			return 0, err
		}
	}
}

func (i *Input) fill(bufs [][]byte) (filled int) {
	for _, b := range bufs {
		n := i.take(b)
		filled += n
		if n < len(b) {
			break
		}
	}
	return filled
}

// Output is standard output or standard error.
type Output struct {
	guest *Guest
	w     io.Writer // nil: the output is discarded
	open  bool      // what was written last ends no line
}

// Type implements Object.
func (*Output) Type() FileType { return TypeUnknown }

// Stat implements Object.
func (*Output) Stat() (Stat, error) { return Stat{Type: TypeUnknown, Links: 1}, nil }

// Close implements Object. The writer stays open.
func (o *Output) Close(context.Context) error {
	o.guest.room.open--
	return nil
}

// outputPiece is how many bytes of output are written between two checks whether the guest was
// killed. If all bytes are newlines, the log becomes a hundred times larger than the output.
const outputPiece = 32 << 10

// Write writes the buffers one by one. It lasts as long as the writer takes, and as long as the
// guest's rate requires. A guest that writes too much must wait, even if it set the non-blocking
// flag.
func (o *Output) Write(ctx context.Context, bufs [][]byte) (written int, err error) {
	g := o.guest
	for _, b := range bufs {
		for len(b) > 0 {
			if written > 0 {
				if err := g.pace.look(ctx); err != nil {
					return written, err
				}
			}
			piece, err := g.rate.grant(ctx, g, min(len(b), outputPiece))
			if err != nil {
				return written, err
			}
			n, err := o.put(b[:piece])
			written += n
			if err != nil || n < piece {
				return written, onlyFirst(written, err)
			}
			b = b[n:]
		}
	}
	return written, nil
}

// Unbounded reports whether the guest may write any number of bytes at any time.
func (o *Output) Unbounded() bool { return o.guest.rate.perSecond <= 0 }

// Grant returns how many of n bytes the guest may write now, by its rate; 0 for none yet. It does
// not wait. What is granted has to be written, with Put.
func (o *Output) Grant(n int) int {
	granted, _ := o.guest.rate.take(min(n, outputPiece))
	return granted
}

// Put writes bytes that were granted. It lasts as long as the writer takes.
func (o *Output) Put(ctx context.Context, b []byte) error {
	if err := o.guest.pace.look(ctx); err != nil {
		return err
	}
	_, err := o.put(b)
	return err
}

// put writes bytes at once.
func (o *Output) put(b []byte) (n int, err error) {
	n = len(b)
	if o.w != nil {
		n, err = o.w.Write(b)
	}
	if n > 0 {
		o.open = b[n-1] != '\n'
	}
	return n, err
}

// Line writes a line, which has its end, in one piece and on a line of its own: what the guest
// wrote before is ended first if it ends no line. It waits as long as the guest's rate requires.
func (o *Output) Line(ctx context.Context, line []byte) error {
	if o.open {
		line = append([]byte{'\n'}, line...)
	}
	for left := len(line); left > 0; {
		granted, err := o.guest.rate.grant(ctx, o.guest, min(left, outputPiece))
		if err != nil {
			return err
		}
		left -= granted
	}
	return o.Put(ctx, line)
}

// Rate is a bucket of bytes that fills with time, up to the bytes of one second. Any number of
// guests may share it.
type Rate struct {
	perSecond int64 // 0 means no bound

	mu     sync.Mutex
	level  int64
	filled time.Time // the time for which level is correct
}

// NewRate makes a Rate of so many bytes per second; 0 means no bound.
func NewRate(perSecond int64) *Rate { return &Rate{perSecond: perSecond} }

// PauseForRate is after which time Output.Grant should be asked again.
const PauseForRate = 10 * time.Millisecond

// grant takes up to n bytes from the bucket, at least one, and waits until they are available.
func (r *Rate) grant(ctx context.Context, g *Guest, n int) (int, error) {
	for {
		if granted, ok := r.take(n); ok {
			return granted, nil
		}
		if err := g.pause(ctx, PauseForRate); err != nil {
			return 0, err
		}
	}
}

// take takes up to n bytes from the bucket, at least one, if there are enough.
func (r *Rate) take(n int) (granted int, ok bool) {
	if r.perSecond <= 0 {
		return n, true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	if gained := int64(now.Sub(r.filled).Seconds() * float64(r.perSecond)); gained > 0 {
		r.level, r.filled = min(r.level+gained, r.perSecond), now
	}
	// To avoid many small grants, it waits until it can grant all n bytes, or a tenth of the bytes
	// of a second.
	if want := min(int64(n), max(r.perSecond/10, 1)); r.level < want {
		return 0, false
	}
	granted = int(min(int64(n), r.level))
	r.level -= int64(granted)
	return granted, true
}
