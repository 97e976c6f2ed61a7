package canontest

import (
	"github.com/krustlet-go/krustlet-wasi/runtime/component/binary"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/canon"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/plan"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/types"
)

// Guest is a canon.Side without a guest: a memory, an allocator that only goes forward, and a table
// of handles.
type Guest struct {
	Mem      []byte
	Next     uint32 // where the next allocation begins
	Strings  binary.Encoding
	Reallocs []Realloc
	// Lie changes what the allocator returns, if it is there.
	Lie func(call Realloc, at uint32) uint32
	// Impl is the resource that the guest defines: it gets borrows of it as they are.
	Impl *types.Resource
	// Table has the handles; element 0 stays empty.
	Table []*Entry
	Free  []uint32
	// OnPoll is called by Poll, if it is there.
	OnPoll func()
}

// Realloc is a call of the allocator.
type Realloc struct{ Old, OldSize, Align, Size uint32 }

// Entry is what a table has at an index.
type Entry struct {
	Kind     types.Kind
	Resource *types.Resource
	Elem     *types.Type
	Handle   canon.Handle
	Lent     int
}

// NewGuest returns a guest with a memory of size bytes, whose first allocation is at 16.
func NewGuest(size int, strings binary.Encoding) *Guest {
	return &Guest{Mem: make([]byte, size), Next: 16, Strings: strings, Table: []*Entry{nil}}
}

// Begin begins a frame of the guest with core values.
func (g *Guest) Begin(f *canon.Frame, flat []plan.Value) { f.Begin(g, g.Mem, flat) }

// Memory returns the memory.
func (g *Guest) Memory() []byte { return g.Mem }

// Encoding returns Strings.
func (g *Guest) Encoding() binary.Encoding { return g.Strings }

// Poll calls OnPoll.
func (g *Guest) Poll() {
	if g.OnPoll != nil {
		g.OnPoll()
	}
}

// Realloc allocates new memory and copies what was in the old, as long as there is memory.
func (g *Guest) Realloc(old, oldSize, align, size uint32) uint32 {
	call := Realloc{old, oldSize, align, size}
	g.Reallocs = append(g.Reallocs, call)
	at := uint64(g.Next+align-1) &^ uint64(align-1)
	if at+uint64(size) > uint64(len(g.Mem)) {
		canon.Trapf("the guest's allocator is out of memory")
	}
	if uint64(old)+uint64(min(oldSize, size)) <= uint64(len(g.Mem)) {
		copy(g.Mem[at:], g.Mem[old:uint64(old)+uint64(min(oldSize, size))])
	}
	g.Next = uint32(at) + size
	if g.Lie != nil {
		return g.Lie(call, uint32(at))
	}
	return uint32(at)
}

// Add adds an entry to the table.
func (g *Guest) Add(e Entry) uint32 {
	if n := len(g.Free); n > 0 {
		i := g.Free[n-1]
		g.Free = g.Free[:n-1]
		g.Table[i] = &e
		return i
	}
	g.Table = append(g.Table, &e)
	return uint32(len(g.Table) - 1)
}

func (g *Guest) get(i uint32) *Entry {
	if uint64(i) >= uint64(len(g.Table)) || g.Table[i] == nil {
		canon.Trapf("there is no handle of that index")
	}
	return g.Table[i]
}

func (g *Guest) remove(i uint32) *Entry {
	e := g.get(i)
	g.Table[i] = nil
	g.Free = append(g.Free, i)
	return e
}

// LiftHandle takes a handle out of the table.
func (g *Guest) LiftHandle(t *types.Type, i uint32) canon.Handle {
	var e *Entry
	if t.Kind == types.Borrow || t.Kind == types.ErrorContext {
		e = g.get(i)
	} else {
		e = g.remove(i)
	}
	isResource := e.Kind == types.Own || e.Kind == types.Borrow
	switch t.Kind {
	case types.Own:
		if e.Kind != types.Own || e.Resource != t.Resource || e.Lent != 0 {
			canon.Trapf("the handle is not an own handle of the resource, or it is lent")
		}
	case types.Borrow:
		if !isResource || e.Resource != t.Resource {
			canon.Trapf("the handle is not of the resource")
		}
		e.Lent++
	case types.Stream, types.Future:
		if e.Kind != t.Kind || !types.Same(e.Elem, t.Elems[0]) {
			canon.Trapf("the handle is not a stream or future of the type")
		}
	default:
		if e.Kind != types.ErrorContext {
			canon.Trapf("the handle is not an error context")
		}
	}
	return e.Handle
}

// LowerHandle adds a handle to the table.
func (g *Guest) LowerHandle(t *types.Type, h canon.Handle) uint32 {
	e := Entry{Kind: t.Kind, Resource: t.Resource, Handle: h}
	switch t.Kind {
	case types.Borrow:
		if g.Impl != nil && t.Resource == g.Impl {
			return h.Rep
		}
	case types.Stream, types.Future:
		e.Elem = t.Elems[0]
	}
	return g.Add(e)
}
