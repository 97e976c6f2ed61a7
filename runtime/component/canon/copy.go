package canon

import (
	"unsafe"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/types"
)

// Copy lifts a value and lowers it on another side. Both have the same type. The sides are
// different component instances: see CopyWithin.
//
// The two frames may not have core values in the same memory.
func Copy(to Place, from Value) {
	c := copier{}
	join(to.f, from.f)
	c.value(to, from)
	part(to.f, from.f)
}

// CopyAll copies values to as many places: those of a stream that one read and one write share.
// The sides may be the same component instance, and buffers may overlap, if elements are numbers.
func CopyAll(to Places, from Values) {
	c := copier{}
	join(to.f, from.f)
	c.elements(to, from)
	part(to.f, from.f)
}

// CopyWithin is Copy between two sides that are the same component instance. It lifts all handles
// before it lowers any, as the guest could tell the difference.
func CopyWithin(to Place, from Value) {
	c := copier{queued: true}
	from.f.Refresh() // the allocator may have run for the place
	join(to.f, from.f)
	c.lift(from)
	c.value(to, from)
	if len(c.handles) > 0 {
		trapChanged()
	}
	part(to.f, from.f)
}

// copier copies one value.
type copier struct {
	// If queued, handles have been lifted: these are the ones that have not been lowered.
	queued  bool
	handles []lifted
}

// lifted is a handle that has been lifted, with its type.
type lifted struct {
	t *types.Type
	Handle
}

// trapChanged unwinds where an allocator changed a value that is being moved.
func trapChanged() { Trapf("the guest's allocator changed a value while it was copied") }

// join has a realloc of one frame refresh the other: they may have the same memory. After a trap
// the frames stay joined up to their next Begin.
func join(to, from *Frame) { to.peer, from.peer = from, to }

func part(to, from *Frame) { to.peer, from.peer = nil, nil }

func (c *copier) value(to Place, from Value) {
	t := from.t
	if t.Plain && !to.flat && !from.flat {
		to.f.move(to.at, from.f, from.at, uint64(t.Size))
		return
	}
	switch t.Kind {
	case types.Bool:
		to.Bool(from.Bool())
	case types.S8:
		to.S8(from.S8())
	case types.U8:
		to.U8(from.U8())
	case types.S16:
		to.S16(from.S16())
	case types.U16:
		to.U16(from.U16())
	case types.S32, types.U32, types.F32:
		to.U32(from.U32())
	case types.S64, types.U64, types.F64:
		to.U64(from.U64())
	case types.Char:
		to.U32(uint32(from.Char()))
	case types.Flags:
		to.Flags(from.Flags())
	case types.String:
		s := from.f.liftText(from.pair())
		to.pair(to.f.storeText(&s))
	case types.List, types.Map:
		l := from.List()
		places := to.f.newList(l.elem, uint64(l.n))
		c.elements(places, l)
		to.pair(places.at, places.n)
	case types.FixedList:
		for i := range int(t.Length) {
			to.f.moving(elementCost)
			c.value(to.Field(i), from.Field(i))
		}
	case types.Record, types.Tuple:
		for i := range t.Elems {
			c.value(to.Field(i), from.Field(i))
		}
	case types.Variant, types.Enum, types.Option, types.Result:
		n := from.Case()
		place := to.Case(n)
		if t.Case(n) != nil {
			c.value(place, from.Payload(n))
		}
	case types.Own, types.Borrow, types.Stream, types.Future, types.ErrorContext:
		to.Handle(c.handle(from))
	}
}

// handle returns what the handle that comes next stands for.
func (c *copier) handle(from Value) Handle {
	if !c.queued {
		return from.Handle()
	}
	// The allocator may have changed a case since: a handle must not become one of another type.
	if len(c.handles) == 0 || c.handles[0].t != from.t {
		trapChanged()
	}
	h := c.handles[0].Handle
	c.handles = c.handles[1:]
	return h
}

func (c *copier) elements(to Places, from Values) {
	if from.elem.Plain {
		to.f.move(to.at, from.f, from.at, uint64(from.n)*uint64(from.elem.Size))
		return
	}
	cost := elementCost + uint64(from.elem.Size)
	for i := range int(from.n) {
		to.f.moving(cost)
		c.value(to.At(i), from.At(i))
	}
}

// lift lifts the handles in a value, in their order.
func (c *copier) lift(v Value) {
	t := v.t
	if !t.Handles {
		return
	}
	switch t.Kind {
	case types.List, types.Map:
		l := v.List()
		for i := range int(l.n) {
			v.f.moving(elementCost)
			c.lift(l.At(i))
		}
	case types.FixedList:
		for i := range int(t.Length) {
			v.f.moving(elementCost)
			c.lift(v.Field(i))
		}
	case types.Record, types.Tuple:
		for i := range t.Elems {
			c.lift(v.Field(i))
		}
	case types.Variant, types.Option, types.Result:
		if n := v.Case(); t.Case(n) != nil {
			c.lift(v.Payload(n))
		}
	default:
		v.f.lifted(uint64(unsafe.Sizeof(lifted{})))
		c.handles = append(c.handles, lifted{t, v.Handle()})
	}
}

// move copies bytes, which may overlap, from the memory of another frame or of the same.
func (f *Frame) move(at uint32, from *Frame, fromAt uint32, n uint64) {
	dst, src := f.mem[at:uint64(at)+n], from.mem[fromAt:uint64(fromAt)+n]
	for n > pollEvery && !overlap(dst, src) {
		copy(dst[:pollEvery], src)
		f.moving(pollEvery)
		dst, src, n = dst[pollEvery:], src[pollEvery:], n-pollEvery
	}
	copy(dst, src)
	f.moving(n)
}

// overlap reports whether two slices of the same length have bytes in common.
func overlap(a, b []byte) bool {
	x, y := address(a), address(b)
	return x < y+uintptr(len(b)) && y < x+uintptr(len(a))
}

// offset returns where bytes lie in a memory, and reports whether they do.
func offset(mem, b []byte) (at int, inside bool) {
	x, y := address(mem), address(b)
	if len(b) == 0 || y < x || y >= x+uintptr(len(mem)) {
		return 0, false
	}
	return int(y - x), true
}

func address(b []byte) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(b))) }
