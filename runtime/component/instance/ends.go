package instance

import (
	"github.com/krustlet-go/krustlet-wasi/runtime/component/canon"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/link"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/types"
)

type copyState uint8

const (
	idle copyState = iota
	copyingNow
	cancelling
	done
)

// end is an end of a stream or future in a handle table.
type end struct {
	waitable
	shared *shared
	writes bool
	state  copyState
	index  uint32

	// These are of a read or write that is under way. The end has one at a time, so that it needs no
	// memory of its own.
	of     operation
	side   side
	buffer buffer
	result copyResult // what there is to tell
	// reclaims says that the copy goes on until the guest hears of it: only then the buffer is taken
	// back.
	reclaims bool
}

func (e *end) copying() bool { return e.state == copyingNow || e.state == cancelling }

// drop drops the end.
func (e *end) drop() {
	if e.shared.future && e.writes && e.state != done {
		canon.Trapf("cannot drop future write end without first writing a value")
	}
	if e.copying() {
		canon.Trapf("cannot remove busy %s: the guest drops the end of one that it reads or writes", e.shared.word())
	}
	e.shared.drop()
	e.join(nil)
}

// packShift is where the number of values begins in what a read or write of a stream returns.
const packShift = 4

// operation is what a built-in of a stream or future is about.
type operation struct {
	future, writes bool
	code           uint32
}

var (
	streamRead  = operation{false, false, eventStreamRead}
	streamWrite = operation{false, true, eventStreamWrite}
	futureRead  = operation{true, false, eventFutureRead}
	futureWrite = operation{true, true, eventFutureWrite}
)

// check traps if the end is not what the operation is for.
func (o operation) check(e *end, t *types.Type) *end {
	if e.shared.future != o.future || e.writes != o.writes || !types.Same(e.shared.elem, t.Elems[0]) {
		wrongHandle("end of that type")
	}
	return e
}

func (o operation) end(c *component, t *types.Type, i uint32) *end {
	return o.check(handleOf[*end](c, i, endWord(t)), t)
}

// begin is stream.read, stream.write, future.read and future.write.
func (o operation) begin(c *component, f *link.Function, v *values, _ []byte) {
	c.mustLeave()
	i, at, n := v.u32(0), v.u32(1), uint32(1)
	if !o.future {
		n = v.u32(2)
	}
	e := o.end(c, f.Type, i)
	switch {
	case e.state == done && o.writes && o.future:
		canon.Trapf("cannot write to future after previous write succeeded or readable end dropped")
	case e.state == done && o.future:
		canon.Trapf("cannot read from future after previous read succeeded")
	case e.state == done && o.writes:
		canon.Trapf("cannot write to stream after being notified that the readable end dropped")
	case e.state == done:
		canon.Trapf("cannot read from stream after being notified that the writable end dropped")
	case e.state != idle:
		canon.Trapf("cannot have concurrent operations active on a future/stream: the end is busy")
	case e.set != nil && !f.Options.Async:
		canon.Trapf("the guest waits for the end of a %s that is in a waitable set", e.shared.word())
	}
	e.of, e.side = o, side{in: c, options: f.Options}
	e.buffer.begin(&e.side, e.shared.elem, at, n, !o.writes)
	e.state = copyingNow
	e.shared.start(copying{in: c, buffer: &e.buffer, by: e})
	o.answer(c, e, f.Options.Async, v)
}

// onCopy implements copier.
func (e *end) onCopy() {
	e.result, e.reclaims = copyCompleted, true
	e.setPending(e)
}

// onDone implements copier.
func (e *end) onDone(r copyResult) {
	e.result, e.reclaims = r, false
	e.setPending(e)
}

// event makes the event of a read or write.
func (e *end) event() event {
	if e.reclaims {
		e.shared.reset()
	}
	o, r := e.of, e.result
	cancelled := e.state == cancelling
	e.state = idle
	if r == copyDropped || o.future && r == copyCompleted {
		e.state = done
	}
	if cancelled && !o.future && r == copyCompleted {
		r = copyCancelled // which the guest asked for, whatever was moved before
	}
	payload := uint32(r)
	if !o.future {
		payload |= e.buffer.progress << packShift
	}
	return event{o.code, e.index, payload}
}

// answer ends the guest's call: with what the event says, if there is one or the guest waits.
func (o operation) answer(c *component, e *end, async bool, v *values) {
	if !e.hasPending() {
		if async {
			v.set(0, blocked)
			return
		}
		c.x.waitFor(&e.waitable, e.hasPending)
	}
	v.set(0, e.take().payload)
}

// cancel is the cancelling of a read or write.
func (o operation) cancel(c *component, f *link.Function, v *values, _ []byte) {
	c.mustLeave()
	e := o.end(c, f.Type, v.u32(0))
	switch {
	case e.state != copyingNow || e.syncWaiter:
		canon.Trapf("the guest cancels a read or write that there is not")
	case e.set != nil && !f.Async:
		canon.Trapf("the guest waits for the end of a %s that is in a waitable set", e.shared.word())
	}
	e.state = cancelling
	if !e.hasPending() {
		e.shared.cancel()
	}
	o.answer(c, e, f.Async, v)
}

// drop is the dropping of an end.
func (o operation) drop(c *component, f *link.Function, v *values, _ []byte) {
	c.mustLeave()
	o.check(takeHandle[*end](c, v.u32(0), endWord(f.Type)), f.Type).drop()
}

// makeEnds is stream.new and future.new.
func makeEnds(c *component, f *link.Function, v *values, _ []byte) {
	c.mustLeave()
	var made struct { // at once, as most live as long as the other
		shared
		w end
	}
	s, w := &made.shared, &made.w
	s.elem, s.future = f.Type.Elems[0], f.Type.Kind == types.Future
	w.shared, w.writes = s, true
	r := s.readable()
	r.index = c.addHandle(r)
	w.index = c.addHandle(w)
	v[0].Bits = uint64(r.index) | uint64(w.index)<<32
}
