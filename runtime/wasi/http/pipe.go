package http

import (
	"errors"
	"io"
	"sync"

	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
)

// Pipe carries the bytes of a body, and then its trailers, from one goroutine to another: from a
// server to a guest, or back. It holds up to PipeSize bytes, and takes the memory for them when
// there are bytes. No method waits: who waits is told by OnBytes or OnSpace.
//
// One goroutine at a time may use the writer's methods, and one the reader's.
type Pipe struct {
	// Memory is from where the pipe takes the memory of its bytes; nil means that nothing counts it.
	Memory Memory
	// Lazy says that the reader is told of bytes only at Publish, at the end, or when the pipe is
	// full.
	Lazy bool
	// Begin is called once, before the reader first looks for bytes; it may be nil.
	Begin func()

	mu       sync.Mutex
	ring     []byte
	from, n  int // of the bytes in ring
	end      error
	trailers []Field
	gone     error // why the reader does not read any more
	began    bool
	refused  bool // there was no memory for a larger ring
	hidden   bool // there is what the reader was not told of
	onBytes  func()
	onSpace  func()
	onGone   func()
}

// Memory counts bytes of the host that a guest pays for.
type Memory interface {
	// Take reports whether there are n bytes for the guest, which then has them until Give.
	Take(n int) bool
	Give(n int)
}

const (
	// PipeSize is how many bytes a pipe holds.
	PipeSize = 64 << 10
	// pipeStart is how many it holds at first, if it is not known how many come.
	pipeStart = 4 << 10
	// pipeLeast is how many it holds at first, if no more are known to come.
	pipeLeast = 512
)

// Errors of a pipe.
var (
	// ErrNoMemory is the end of a pipe that has no memory.
	ErrNoMemory = errors.New("there is no memory for the bytes of a body")
	// ErrGone is the error of a writer whose reader has closed the pipe without a reason.
	ErrGone = errors.New("the body is not read any more")
)

// Space returns room for bytes, of which Commit then says how many are there. It is empty if there
// is none. The error says why the reader reads no more.
func (p *Pipe) Space() ([]byte, error) {
	return p.space(pipeStart)
}

// space is Space. wanted is how large a first ring is, or more.
func (p *Pipe) space(wanted int) ([]byte, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gone != nil {
		return nil, p.gone
	}
	if p.end != nil {
		return nil, io.ErrClosedPipe
	}
	if p.n == 0 {
		p.from = 0 // not in Discard: the writer may have got its Space, and commits it after that
	}
	if p.n == len(p.ring) && !p.grow(wanted) {
		return nil, ErrNoMemory
	}
	at := (p.from + p.n) % max(len(p.ring), 1)
	if at < p.from || p.n == len(p.ring) {
		return p.ring[at : at+len(p.ring)-p.n], nil
	}
	return p.ring[at:], nil
}

// grow makes a full ring larger, if it may be: to what is wanted, if there is memory for that. It
// returns false if there is no memory for a ring.
func (p *Pipe) grow(wanted int) bool {
	size := min(max(len(p.ring)*4, wanted), PipeSize)
	if size == len(p.ring) {
		return true
	}
	if !p.take(size) {
		size = min(max(len(p.ring)*4, pipeStart), size)
		if p.refused = !p.take(size); p.refused {
			return len(p.ring) > 0
		}
	}
	ring := make([]byte, size)
	n := copy(ring, p.ring[p.from:])
	copy(ring[n:], p.ring[:p.from])
	p.ring, p.from = ring, 0
	return true
}

// take takes the memory for a ring of a size, in the place of the one that there is.
func (p *Pipe) take(size int) bool {
	return p.Memory == nil || p.Memory.Take(size-len(p.ring))
}

// free is how many bytes Space can give, if there is memory for them.
func (p *Pipe) free() int {
	if p.refused && len(p.ring) > 0 {
		return len(p.ring) - p.n
	}
	return PipeSize - p.n
}

// Room is how many bytes the pipe takes, if there is memory for them. The error is that of Space.
func (p *Pipe) Room() (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.gone != nil:
		return 0, p.gone
	case p.end != nil:
		return 0, io.ErrClosedPipe
	}
	return p.free(), nil
}

// Commit says that the first n bytes of Space are there. They are lost if the reader has closed the
// pipe.
func (p *Pipe) Commit(n int) {
	if n == 0 {
		return
	}
	p.mu.Lock()
	if p.gone != nil || p.end != nil {
		p.mu.Unlock()
		return
	}
	p.n += n
	p.hidden = true
	tell := p.tellReader(!p.Lazy || p.free() == 0)
	p.mu.Unlock()
	call(tell)
}

// Write writes as many of the bytes as there is room for, and returns how many. The error is
// wasi.ErrWouldBlock if there is none, or that of Space.
func (p *Pipe) Write(b []byte) (written int, err error) {
	for written < len(b) {
		space, err := p.space(sizeFor(len(b) - written))
		if err != nil {
			return written, err
		}
		if len(space) == 0 {
			if written == 0 {
				return 0, wasi.ErrWouldBlock
			}
			return written, nil
		}
		n := copy(space, b[written:])
		p.Commit(n)
		written += n
	}
	return written, nil
}

// sizeFor is the size of a ring for n bytes: most answers are small, and are written at once.
func sizeFor(n int) int {
	size := pipeLeast
	for size < n && size < PipeSize {
		size *= 2
	}
	return size
}

// End ends the body: with trailers, or with an error. Only the first call counts.
func (p *Pipe) End(trailers []Field, err error) {
	if err == nil {
		err = io.EOF
	}
	p.mu.Lock()
	if p.end == nil {
		p.end, p.trailers, p.hidden = err, trailers, true
	}
	tell := p.tellReader(true)
	p.mu.Unlock()
	call(tell)
}

// Publish tells the reader of all that is there.
func (p *Pipe) Publish() {
	p.mu.Lock()
	tell := p.tellReader(true)
	p.mu.Unlock()
	call(tell)
}

// tellReader returns what tells the reader, or nil.
func (p *Pipe) tellReader(now bool) (tell func()) {
	if !now || !p.hidden {
		return nil
	}
	p.hidden = false
	tell, p.onBytes = p.onBytes, nil
	return tell
}

func call(f func()) {
	if f != nil {
		f()
	}
}

// OnSpace has f called once, when Space has room or an error: by another goroutine, or at once. A
// later OnSpace replaces it, also by nil. If the writer has to wait, the reader is told of all that
// is there.
func (p *Pipe) OnSpace(f func()) {
	var tell func()
	p.mu.Lock()
	p.onSpace = f
	switch {
	case f == nil:
	case p.gone != nil || p.end != nil || p.free() > 0:
		p.onSpace = nil
	default:
		f, tell = nil, p.tellReader(true)
	}
	p.mu.Unlock()
	call(f)
	call(tell)
}

// Ended reports whether End was called.
func (p *Pipe) Ended() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.end != nil
}

// whole reports whether the body has ended without an error.
func (p *Pipe) whole() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return errors.Is(p.end, io.EOF)
}

// Len is how many bytes the pipe holds.
func (p *Pipe) Len() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.n
}

// Bytes returns bytes that are there, without taking them: they hold until Discard. Without bytes,
// the error is wasi.ErrWouldBlock if more may come, io.EOF at the end, or the error of End; after
// Close it is io.ErrClosedPipe.
func (p *Pipe) Bytes() ([]byte, error) {
	p.begin()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.n > 0 {
		return p.ring[p.from:min(p.from+p.n, len(p.ring))], nil
	}
	switch {
	case p.gone != nil:
		return nil, io.ErrClosedPipe
	case p.end != nil:
		return nil, p.end
	}
	return nil, wasi.ErrWouldBlock
}

// begin calls Begin if that was not done.
func (p *Pipe) begin() {
	p.mu.Lock()
	var f func()
	if !p.began {
		p.began, f = true, p.Begin
	}
	p.mu.Unlock()
	call(f)
}

// Discard takes the first n bytes, of those that Bytes showed.
func (p *Pipe) Discard(n int) {
	p.mu.Lock()
	n = min(n, p.n) // fewer after Free
	if n == 0 || p.gone != nil {
		p.mu.Unlock()
		return
	}
	p.n -= n
	p.from = (p.from + n) % len(p.ring)
	tell := p.onSpace
	p.onSpace = nil
	p.mu.Unlock()
	call(tell)
}

// OnBytes has f called once, when Bytes has bytes or an end: by another goroutine, or at once. A
// later OnBytes replaces it, also by nil. After Close f is called at once.
func (p *Pipe) OnBytes(f func()) {
	if f != nil {
		p.begin()
	}
	p.mu.Lock()
	p.onBytes = f
	if f != nil && (p.n > 0 && !(p.Lazy && p.hidden) || p.end != nil || p.gone != nil) {
		p.onBytes = nil
	} else {
		f = nil
	}
	p.mu.Unlock()
	call(f)
}

// Trailers returns the fields after a body that has ended without an error.
func (p *Pipe) Trailers() []Field {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.trailers
}

// Close says that nothing is read any more, and why: the writer then gets that error, or ErrGone
// for nil. Bytes that are there are lost, and those that a writer had Space for. A second call does
// nothing.
func (p *Pipe) Close(why error) {
	if why == nil {
		why = ErrGone
	}
	p.mu.Lock()
	if p.gone == nil {
		p.gone, p.n, p.from, p.onBytes = why, 0, 0, nil
	}
	tell, gone := p.onSpace, p.onGone
	p.onSpace, p.onGone = nil, nil
	p.mu.Unlock()
	call(tell)
	call(gone)
}

// OnGone has f called once, when the reader has closed the pipe: by another goroutine, or at once.
// A later OnGone replaces it, also by nil.
func (p *Pipe) OnGone(f func()) {
	p.mu.Lock()
	p.onGone = f
	if f != nil && p.gone != nil {
		p.onGone = nil
	} else {
		f = nil
	}
	p.mu.Unlock()
	call(f)
}

// Free gives back the memory, and closes both ends: a guest may hold its end for longer. Who waits
// is told. A slice of Space or Bytes may not be used any more, by no goroutine.
func (p *Pipe) Free() {
	p.mu.Lock()
	if p.Memory != nil && len(p.ring) > 0 {
		p.Memory.Give(len(p.ring))
	}
	p.ring, p.n, p.from = nil, 0, 0
	if p.end == nil {
		p.end = io.ErrClosedPipe
	}
	if p.gone == nil {
		p.gone = ErrGone
	}
	bytes, space, gone := p.onBytes, p.onSpace, p.onGone
	p.onBytes, p.onSpace, p.onGone = nil, nil, nil
	p.mu.Unlock()
	call(bytes)
	call(space)
	call(gone)
}

// empty reports whether the body has ended without an error, a byte and a trailer.
func (p *Pipe) empty() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.n == 0 && len(p.trailers) == 0 && errors.Is(p.end, io.EOF)
}
