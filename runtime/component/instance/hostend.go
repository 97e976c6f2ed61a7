package instance

import "github.com/krustlet-go/krustlet-wasi/runtime/component/canon"

// hostEnd is an end of a stream or future that the host holds.
type hostEnd struct {
	x      *Instance
	shared *shared
	owner  owner
	busy   bool // it reads or writes
	ended  bool // that has ended, and its owner hears of it soon
	closed bool

	// These are of the read or write that is under way, or has ended.
	buffer  buffer
	dropped bool // the other end was

	onDrop func()
}

// owner is the stream or future whose end it is.
type owner interface {
	// copied hears that a read or write has ended.
	copied(n int, dropped bool)
}

func (e *hostEnd) hold(x *Instance, s *shared, o owner) {
	if x.streams == maxStreams {
		canon.Trapf("the host holds more than %d ends of streams and futures", maxStreams)
	}
	x.streams++
	e.x, e.shared, e.owner = x, s, o
}

// Close drops the end. What it reads or writes ends with that; done is not called.
func (e *hostEnd) Close() {
	if e.closed {
		return
	}
	e.closed = true
	e.x.streams--
	if e.busy {
		e.shared.reset()
	}
	e.shared.drop()
}

// Cancel ends a read or write: done is called soon, with what was moved.
func (e *hostEnd) Cancel() {
	if e.busy && !e.closed {
		e.shared.cancel()
	}
}

// Waits reports whether the other end reads or writes and waits for this one, and how many values
// it still has room for, or has. A Write or Read of up to that many then moves them at once.
func (e *hostEnd) Waits() (n int, waits bool) {
	b := e.shared.pending.buffer
	if b == nil || e.busy || b.length > 0 && b.remain() == 0 {
		return 0, false
	}
	return int(b.remain()), true
}

// OnDrop has f called soon, in the turn, if the other end is dropped while nothing is read or
// written. If something is, its done hears it.
func (e *hostEnd) OnDrop(f func()) { e.onDrop, e.shared.hears = f, e }

func (e *hostEnd) heardDrop() { e.x.followUps.push(followUp{e, true}) }

// mayStart panics if a read or write may not begin.
func (e *hostEnd) mayStart() {
	if e.busy || e.ended || e.closed {
		panic("instance: a read or write of a stream that is closed, or in use")
	}
}

// start begins a read or write of the host. It ends with the first values that move.
func (e *hostEnd) start(b buffer) {
	e.busy, e.buffer = true, b
	e.shared.start(copying{buffer: &e.buffer, by: e})
}

// onCopy implements copier.
func (e *hostEnd) onCopy() {
	e.shared.reset()
	e.end(false)
}

// onDone implements copier.
func (e *hostEnd) onDone(r copyResult) { e.end(r == copyDropped) }

func (e *hostEnd) end(dropped bool) {
	e.busy, e.ended, e.dropped = false, true, dropped
	e.x.followUps.push(followUp{e, false})
}

// followUp is what an end of the host hears after the operation that runs.
type followUp struct {
	end  *hostEnd
	drop bool // that the other end was dropped; else, that its read or write has ended
}

func (f followUp) tell() {
	e := f.end
	switch {
	case e.closed:
	case f.drop:
		e.onDrop()
	default:
		e.ended = false
		e.owner.copied(int(e.buffer.progress), e.dropped)
	}
}
