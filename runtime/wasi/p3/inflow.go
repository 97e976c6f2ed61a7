package p3

import (
	"github.com/krustlet-go/krustlet-wasi/runtime/component/instance"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/typed"
)

// sink takes the bytes of a stream that the host reads.
type sink interface {
	// open returns how many bytes put takes at any time from now on, so that nothing has to be asked
	// before. It is 0 if room has to be asked.
	open() int
	// room returns how many of n bytes put would take now without a wait, 0 for none.
	room(n int) (int, error)
	// put takes all of the bytes, of which there are no more than room returned. They are memory of
	// the guest.
	put(b []byte) error
	// wait has ready done in the turn when there may be room. stop stops that.
	wait(ready func()) (stop func(), err error)
	// rest reports whether there are bytes that room still has to bring to their place.
	rest() bool
	close()
}

// inflow is a stream that the host reads. The guest's bytes stay with it until there is room for
// them.
type inflow struct {
	host    *Host
	r       *instance.StreamReader[byte]
	to      sink
	promise *promise
	moved   int   // since others had their turn
	failed  error // of the read that is under way
	free    bool  // it takes no room: that of its socket is for it, too
	last    bool
	ended   bool

	// What each read has done, made once.
	put           func(b []byte)
	took, arrived func(n int, dropped bool)
}

// drain reads a stream into a sink, and keeps the promise at its end. The stream takes the room of
// a descriptor.
func (h *Host) drain(s typed.Stream[uint8], to sink, p *promise) *inflow {
	i := h.inflow(s, to, p)
	if err := h.reserve(); err != nil {
		i.ended = true
		i.r.Close()
		to.close()
		p.end(err)
		return i
	}
	i.next()
	return i
}

// drainFree is drain for a stream that takes no room.
func (h *Host) drainFree(s typed.Stream[uint8], to sink, p *promise) {
	i := h.inflow(s, to, p)
	i.free = true
	i.next()
}

func (h *Host) inflow(s typed.Stream[uint8], to sink, p *promise) *inflow {
	i := &inflow{host: h, r: instance.ReadStream(h.x, s.Handle, instance.Codec[byte]{}), to: to, promise: p}
	i.put, i.took = i.putAll, i.hasTaken
	return i
}

// refuse closes a stream, and ends the promise with an error.
func (h *Host) refuse(s typed.Stream[uint8], err error, p *promise) {
	instance.ReadStream(h.x, s.Handle, instance.Codec[byte]{}).Close()
	p.end(err)
}

// look waits until the guest writes.
func (i *inflow) look() {
	if i.arrived == nil {
		i.arrived = func(_ int, dropped bool) {
			i.last = dropped
			i.pull()
		}
	}
	i.r.Read(0, i.put, i.arrived)
}

// pull takes what the guest writes, if there is room for it.
func (i *inflow) pull() {
	if i.ended {
		return
	}
	offered, writes := i.r.Waits()
	if !writes && !i.last {
		i.next() // the guest has cancelled its write
		return
	}
	room, err := i.to.room(min(offered, piece))
	switch {
	case err != nil:
		i.end(err)
	case room == 0 && (offered > 0 || i.to.rest()):
		if _, err := i.to.wait(i.pull); err != nil {
			i.end(err)
		}
	case i.last:
		i.end(nil)
	default:
		i.take(room)
	}
}

func (i *inflow) take(n int) { i.r.Read(n, i.put, i.took) }

func (i *inflow) putAll(b []byte) { i.failed = i.to.put(b) }

func (i *inflow) hasTaken(n int, dropped bool) {
	i.last = dropped
	if i.failed != nil {
		i.end(i.failed)
		return
	}
	if i.moved += n; i.moved < turnBytes {
		i.next()
		return
	}
	i.host.pass(&i.moved, i.next)
}

func (i *inflow) next() {
	switch {
	case i.ended:
		return
	case i.last:
		i.pull()
		return
	}
	if n := i.to.open(); n > 0 {
		i.take(n)
		return
	}
	i.look()
}

// end ends the stream.
func (i *inflow) end(err error) {
	if i.ended {
		return
	}
	i.ended = true
	i.r.Close()
	if !i.free {
		i.host.release()
	}
	i.to.close()
	i.promise.end(err)
}
