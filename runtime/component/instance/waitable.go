package instance

import (
	"slices"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/canon"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/link"
)

// Codes of events.
const (
	eventNone = iota
	eventSubtask
	eventStreamRead
	eventStreamWrite
	eventFutureRead
	eventFutureWrite
	eventCancelled
)

// event is what a waitable tells.
type event struct{ code, index, payload uint32 }

// news is what a waitable has to tell. The event is made when the guest hears it.
type news interface{ event() event }

// waitable is a part of what may be in a waitable set: subtasks and ends of streams and futures.
type waitable struct {
	pending news
	set     *waitableSet
	// syncWaiter says that a thread waits for this very waitable.
	syncWaiter bool
}

func (w *waitable) base() *waitable { return w }

func (w *waitable) hasPending() bool { return w.pending != nil }

func (w *waitable) setPending(n news) {
	if w.set != nil && w.pending == nil {
		w.set.pending = append(w.set.pending, w)
	}
	w.pending = n
}

func (w *waitable) take() event {
	if w.set != nil {
		w.set.forget(w)
	}
	n := w.pending
	w.pending = nil
	return n.event()
}

func (w *waitable) join(s *waitableSet) {
	if w.set != nil {
		w.set.members--
		if w.pending != nil {
			w.set.forget(w)
		}
	}
	if w.set = s; s == nil {
		return
	}
	s.members++
	if w.pending != nil {
		s.pending = append(s.pending, w)
	}
}

// waitFor has the current thread wait for an event of the waitable.
func (x *Instance) waitFor(w *waitable, ready func() bool) {
	w.syncWaiter = true
	x.waitUntil(ready, false)
	w.syncWaiter = false
}

// waitableSet is a set of waitables.
type waitableSet struct {
	members int
	pending []*waitable // those that have an event, the oldest first
	waiting int         // threads
	room    [2]*waitable
}

const waitableSetWord = "waitable set"

func (s *waitableSet) hasPending() bool { return len(s.pending) > 0 }

func (s *waitableSet) take() event { return s.pending[0].take() }

func (s *waitableSet) forget(w *waitable) {
	if i := slices.Index(s.pending, w); i >= 0 {
		s.pending = slices.Delete(s.pending, i, i+1)
	}
}

func waitableSetNew(c *component, _ *link.Function, v *values, _ []byte) {
	c.mustLeave()
	s := &waitableSet{}
	s.pending = s.room[:0]
	v.set(0, c.addHandle(s))
}

func waitableSetWait(c *component, f *link.Function, v *values, _ []byte) {
	c.mustLeave()
	s := handleOf[*waitableSet](c, v.u32(0), waitableSetWord)
	at := v.u32(1)
	var e event
	s.waiting++
	if c.x.waitUntil(s.hasPending, f.Async) {
		e.code = eventCancelled
	} else {
		e = s.take()
	}
	s.waiting--
	c.tell(f, v, at, e)
}

func waitableSetPoll(c *component, f *link.Function, v *values, _ []byte) {
	c.mustLeave()
	s := handleOf[*waitableSet](c, v.u32(0), waitableSetWord)
	var e event
	switch {
	case c.x.current.task.deliverPendingCancel(f.Async):
		e.code = eventCancelled
	case s.hasPending():
		e = s.take()
	}
	c.tell(f, v, v.u32(1), e)
}

// tell writes an event to the guest's memory.
func (c *component) tell(f *link.Function, v *values, at uint32, e event) {
	options := link.Options{Memory: f.Memory}
	s := side{in: c, options: &options}
	var frame canon.Frame
	frame.Begin(&s, s.Memory(), nil)
	place := frame.LowerAt(eventType, at)
	place.Field(0).U32(e.index)
	place.Field(1).U32(e.payload)
	v.set(0, e.code)
}

func waitableSetDrop(c *component, _ *link.Function, v *values, _ []byte) {
	c.mustLeave()
	s := takeHandle[*waitableSet](c, v.u32(0), waitableSetWord)
	if s.members > 0 {
		canon.Trapf("the guest drops a waitable set that is not empty")
	}
	if s.waiting > 0 {
		canon.Trapf("the guest drops a waitable set that a task waits for")
	}
}

func waitableJoin(c *component, _ *link.Function, v *values, _ []byte) {
	c.mustLeave()
	w := handleOf[interface{ base() *waitable }](c, v.u32(0), "waitable").base()
	if w.syncWaiter {
		canon.Trapf("the guest moves a waitable while a call waits for it")
	}
	var s *waitableSet
	if i := v.u32(1); i != 0 {
		s = handleOf[*waitableSet](c, i, waitableSetWord)
	}
	w.join(s)
}
