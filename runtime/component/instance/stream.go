package instance

import (
	"github.com/krustlet-go/krustlet-wasi/runtime/component/canon"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/types"
)

// copyResult is how a read or write ended.
type copyResult uint32

// The specification's numbers.
const (
	copyCompleted copyResult = iota
	copyDropped
	copyCancelled
)

// shared is what the two ends of a stream or future share.
type shared struct {
	elem    *types.Type // or nil
	future  bool
	dropped bool
	// pending is the read or write that the other end has not answered. Its buffer is nil if there
	// is none.
	pending copying
	// hears, an end of the host, hears that the other end was dropped while nothing was pending.
	hears *hostEnd
	// reader is the readable end in the table of a guest. There is at most one.
	reader end
}

// readable makes the readable end, for a guest. Another guest may have had it before, and gave it
// away: then nothing uses that any more.
func (s *shared) readable() *end {
	s.reader = end{shared: s}
	return &s.reader
}

// copying is a read or a write.
type copying struct {
	in     *component // or nil for the host
	buffer *buffer
	by     copier
}

// copier is an end that reads or writes.
type copier interface {
	// onCopy hears that a part of the buffer was moved. To end the copy it has the shared reset: it
	// reclaims the buffer.
	onCopy()
	onDone(r copyResult)
}

func (s *shared) word() string {
	if s.future {
		return "future"
	}
	return "stream"
}

func (s *shared) reset() { s.pending = copying{} }

func (s *shared) notify(r copyResult) {
	by := s.pending.by
	s.reset()
	by.onDone(r)
}

func (s *shared) cancel() { s.notify(copyCancelled) }

func (s *shared) drop() {
	if s.dropped {
		return
	}
	s.dropped = true
	switch {
	case s.pending.buffer != nil:
		s.notify(copyDropped)
	case s.hears != nil:
		s.hears.heardDrop()
	}
}

// start begins a read or a write: what the buffer is for tells which.
func (s *shared) start(c copying) {
	switch {
	case s.dropped:
		s.startDropped(c)
	case s.pending.buffer == nil:
		s.pending = c
	default:
		if c.in != nil && c.in == s.pending.in && !numeric(s.elem) {
			canon.Trapf("cannot read from and write to intra-component %s: its values are no numbers", s.word())
		}
		if s.future {
			s.meetFuture(c)
		} else {
			s.meetStream(c)
		}
	}
}

func (s *shared) startDropped(c copying) {
	if s.future && c.buffer.reads {
		canon.Trapf("the host dropped a future without a value")
	}
	c.by.onDone(copyDropped)
}

func (s *shared) meetFuture(c copying) {
	move(c.buffer, s.pending.buffer, 1)
	s.notify(copyCompleted)
	c.by.onDone(copyCompleted)
}

func (s *shared) meetStream(c copying) {
	p := s.pending.buffer
	switch {
	case p.remain() > 0:
		if n := min(c.buffer.remain(), p.remain()); n > 0 {
			move(c.buffer, p, n)
			s.pending.by.onCopy()
		}
		c.by.onDone(copyCompleted)
	case !c.buffer.reads && c.buffer.length == 0 && p.length == 0:
		c.by.onDone(copyCompleted)
	default:
		s.notify(copyCompleted)
		s.pending = c
	}
}

// numeric reports whether values of a type are numbers, or nothing.
func numeric(t *types.Type) bool {
	return t == nil || t.Kind >= types.S8 && t.Kind <= types.F64
}
