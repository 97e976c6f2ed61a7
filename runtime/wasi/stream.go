package wasi

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"
)

// input is standard input. Its reader may block for as long as it likes, so a goroutine of its own reads ahead, one
// buffer, from the guest's first look at its input on. That goroutine ends with the reader, and after Close as
// soon as the read that is under way returns.
type input struct {
	r    io.Reader // nil is empty
	ring func()    // tells the guest's thread that there is something new
	room chan struct{}
	gone chan struct{} // closed when nobody will read any more

	mu      sync.Mutex
	running bool
	ahead   []byte // what was read and the guest did not take
	end     error  // what comes behind that: io.EOF, an error, nil if it is not known yet
}

// inputBuffer is how many bytes of its input a guest is ahead, at most.
const inputBuffer = 64 << 10

func newInput(r io.Reader, ring func()) *input {
	i := &input{r: r, ring: ring, room: make(chan struct{}, 1), gone: make(chan struct{})}
	if r == nil {
		i.end = io.EOF
	}
	return i
}

func (*input) filetype() filetype      { return typeUnknown }
func (*input) stat() (filestat, error) { return filestat{kind: typeUnknown, nlink: 1}, nil }

// close leaves the input to others: the descriptor is gone for good.
func (i *input) close() error {
	close(i.gone)
	return nil
}

// finish puts the end of the input behind what was read of it so far.
func (i *input) finish() {
	i.mu.Lock()
	if i.end == nil {
		i.end = io.EOF
	}
	i.mu.Unlock()
	i.ring()
}

// pump reads ahead.
func (i *input) pump() {
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
		case <-i.gone:
			return
		}
	}
}

// put hands over what the reader gave. It says whether to go on.
func (i *input) put(p []byte, err error) bool {
	i.mu.Lock()
	defer i.ring()
	defer i.mu.Unlock()
	if i.end != nil {
		return false
	}
	i.ahead, i.end = p, err
	return err == nil
}

// state starts reading ahead, and says what there is: bytes, or an end.
func (i *input) state() (ahead int, end error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.end == nil && !i.running {
		i.running = true
		go i.pump() // ends with the reader, or after close
	}
	return len(i.ahead), i.end
}

// take moves bytes that were read ahead.
func (i *input) take(p []byte) int {
	i.mu.Lock()
	defer i.mu.Unlock()
	n := copy(p, i.ahead)
	i.ahead = i.ahead[n:]
	if n > 0 && len(i.ahead) == 0 {
		select {
		case i.room <- struct{}{}:
		default:
		}
	}
	return n
}

// readInput fills the guest's buffers with what there is, and waits if there is nothing.
func (g *Guest) readInput(ctx context.Context, i *input, v iovecs, nonblock bool) (uint32, error) {
	if v.empty() {
		return 0, nil
	}
	for {
		ahead, end := i.state()
		switch {
		case ahead > 0:
			return i.fill(v)
		case errors.Is(end, io.EOF):
			return 0, nil
		case end != nil:
			return 0, end
		case nonblock:
			return 0, ErrnoAgain
		}
		if err := g.pause(ctx, noDeadline); err != nil {
			return 0, err
		}
	}
}

func (i *input) fill(v iovecs) (done uint32, err error) {
	for k := range v.len() {
		b, err := v.buffer(k)
		if err != nil {
			return done, onlyFirst(done, err)
		}
		n := i.take(b)
		done += uint32(n)
		if n < len(b) {
			break
		}
	}
	return done, nil
}

// output is standard output or standard error.
type output struct {
	w io.Writer // nil discards
}

func (*output) filetype() filetype      { return typeUnknown }
func (*output) stat() (filestat, error) { return filestat{kind: typeUnknown, nlink: 1}, nil }
func (*output) close() error            { return nil }

// outputPiece is how many bytes of output are written before the host looks whether the guest was killed. Those of newlines
// alone become a hundred times as many in a log.
const outputPiece = 32 << 10

// writeOutput writes the guest's buffers one by one. It lasts as long as the writer takes, and as the guest's rate
// makes it wait: a guest that writes too much is held back, whatever flags it set.
func (g *Guest) writeOutput(ctx context.Context, o *output, v iovecs) (done uint32, err error) {
	for k := range v.len() {
		b, err := v.buffer(k)
		if err != nil {
			return done, onlyFirst(done, err)
		}
		for len(b) > 0 {
			if done > 0 {
				if err := g.pace.look(ctx); err != nil {
					return done, err
				}
			}
			piece, err := g.rate.grant(ctx, g, min(len(b), outputPiece))
			if err != nil {
				return done, err
			}
			n := piece
			if o.w != nil {
				n, err = o.w.Write(b[:piece])
			}
			done += uint32(n)
			if err != nil || n < piece {
				return done, onlyFirst(done, err)
			}
			b = b[n:]
		}
	}
	return done, nil
}

// rate is a bucket of bytes that fills with time, up to what a second gives. The zero value has no bottom.
type rate struct {
	perSecond int64
	level     int64
	filled    time.Time // when level was right
}

// grant takes up to n bytes out of the bucket, at least one, and waits for that.
func (r *rate) grant(ctx context.Context, g *Guest, n int) (int, error) {
	if r.perSecond <= 0 {
		return n, nil
	}
	for {
		now := time.Now()
		if gained := int64(now.Sub(r.filled).Seconds() * float64(r.perSecond)); gained > 0 {
			r.level, r.filled = min(r.level+gained, r.perSecond), now
		}
		// Not byte for byte: a grant is what was asked for, or a tenth of a second's worth.
		if want := min(int64(n), max(r.perSecond/10, 1)); r.level >= want {
			granted := min(int64(n), r.level)
			r.level -= granted
			return int(granted), nil
		}
		if err := g.pause(ctx, 10*time.Millisecond); err != nil {
			return 0, err
		}
	}
}
