package instance

import (
	"github.com/krustlet-go/krustlet-wasi/runtime/component/binary"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/canon"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/link"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/types"
)

// side is a component instance as values move out of it and into it: a canon.Side. Borrows that it
// lifts are lent to the subtask, and borrows that it lowers belong to the task.
type side struct {
	in      *component
	options *link.Options
	subtask *lending
	task    *task
}

// lending keeps the handles that a call was lent.
type lending struct{ handles []*resource }

func (l *lending) add(h *resource) {
	h.lends++
	l.handles = append(l.handles, h)
}

func (l *lending) giveBack() {
	for i, h := range l.handles {
		h.lends--
		l.handles[i] = nil
	}
	l.handles = l.handles[:0]
}

func (s *side) Memory() []byte { return s.in.memory(s.options.Memory) }

func (s *side) Realloc(old, oldSize, align, size uint32) uint32 {
	return s.in.reallocate(s.options, old, oldSize, align, size)
}

func (s *side) Encoding() binary.Encoding { return s.options.Encoding }

func (s *side) Poll() {
	x := s.in.x
	x.poll()
	if x.looker == nil {
		return
	}
	if err := x.looker.Look(); err != nil {
		panic(&canon.Trap{Err: err})
	}
}

func (s *side) LiftHandle(t *types.Type, i uint32) canon.Handle {
	switch t.Kind {
	case types.Own:
		return s.liftOwn(t, i)
	case types.Borrow:
		h := s.in.resource(i, t.Resource)
		s.subtask.add(h)
		return h.rep
	case types.ErrorContext:
		return canon.Handle{Host: handleOf[*errorContext](s.in, i, errorContextWord)}
	}
	return canon.Handle{Host: s.liftEnd(t, i)}
}

func (s *side) liftOwn(t *types.Type, i uint32) canon.Handle {
	h := takeHandle[*resource](s.in, i, handleWord)
	switch {
	case h.of != t.Resource:
		wrongHandle("handle of that resource type")
	case h.lends != 0:
		canon.Trapf("the guest gives away a handle that it has lent to a call")
	case !h.own:
		canon.Trapf("the guest gives away a handle that it only borrowed")
	}
	return s.in.x.gone(h).rep
}

// liftEnd takes the readable end of a stream or future.
func (s *side) liftEnd(t *types.Type, i uint32) *shared {
	e := takeHandle[*end](s.in, i, endWord(t))
	if e.writes || e.shared.future != (t.Kind == types.Future) || !types.Same(e.shared.elem, t.Elems[0]) {
		wrongHandle("readable end of that type")
	}
	if e.state == done {
		canon.Trapf("the guest gives away the end of a %s that is done", e.shared.word())
	}
	if e.state != idle {
		canon.Trapf("the guest gives away the end of a %s while it is in use", e.shared.word())
	}
	if e.set != nil {
		canon.Trapf("the guest gives away the end of a %s while it is in a waitable set", e.shared.word())
	}
	return e.shared
}

func endWord(t *types.Type) string {
	if t.Kind == types.Future {
		return "future"
	}
	return "stream"
}

func (s *side) LowerHandle(t *types.Type, h canon.Handle) uint32 {
	switch t.Kind {
	case types.Own:
		return s.in.addResource(resource{of: t.Resource, rep: h, own: true})
	case types.Borrow:
		return s.lowerBorrow(t, h)
	case types.ErrorContext:
		return s.in.addHandle(h.Host.(*errorContext))
	}
	e := h.Host.(*shared).readable()
	e.index = s.in.addHandle(e)
	return e.index
}

// lowerBorrow gives the component that defines the resource what stands for it, and others a
// handle.
func (s *side) lowerBorrow(t *types.Type, h canon.Handle) uint32 {
	owner := t.Resource.Owner.(*link.Definer)
	if owner.Instance != link.None && s.in == s.in.x.components[owner.Instance] {
		return h.Rep
	}
	s.task.borrows++
	return s.in.addResource(resource{of: t.Resource, rep: h, scope: s.task})
}
