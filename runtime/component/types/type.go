package types

import "strconv"

// Kind is the kind of a type.
type Kind uint8

// Kinds of types.
const (
	Bool Kind = iota
	S8
	U8
	S16
	U16
	S32
	U32
	S64
	U64
	F32
	F64
	Char
	String
	ErrorContext
	List
	FixedList
	Record
	Tuple
	Variant
	Enum
	Option
	Result
	Flags
	Map
	Own
	Borrow
	Stream
	Future
)

// Core is the kind of a core value.
type Core uint8

// Kinds of core values, with the numbers that the engine has for them.
const (
	I32 Core = iota
	I64
	F32Core
	F64Core
)

// Type is the type of a value. Make one with New; Prim has the primitive ones.
type Type struct {
	Kind Kind
	// Labels are those of a record's fields, a variant's or enum's cases, or flags.
	Labels []string
	// Elems are the types of fields, of cases (nil for a case without a value), of elements, or of
	// what a stream or future carries (nil for nothing). An option has the cases none and some, a
	// result ok and error. A map is a list of tuples: it has one element, the tuple.
	Elems []*Type
	// Length is the number of values in a FixedList.
	Length uint32
	// Resource is what a handle is of.
	Resource *Resource

	// Size and Align are bytes in memory.
	Size, Align uint32
	// Offsets are those of a record's or tuple's fields. Slots are the numbers of their first core
	// values.
	Offsets, Slots []uint32
	// Discriminant is the size of the number of the case, in bytes; Payload is the offset of the
	// value.
	Discriminant, Payload uint32
	// Flat are its core values. It is nil if they are more than MaxFlat.
	Flat []Core
	// Wide is the size in memory if pointers had 64 bits. Validation bounds it.
	Wide uint64
	// Borrows says that it contains a borrow handle, Carries that it contains a stream or future.
	Borrows, Carries bool
	// Handles says that it contains any handle: a resource, stream, future or error context.
	Handles bool
	// Plain says that copying the bytes of a value copies the value: it has neither pointers nor
	// handles, every pattern of its bytes is a value, and every byte belongs to it.
	Plain bool
	// Depth is how deep types are nested in it; Nodes is how many they are. Validation bounds both.
	Depth, Nodes int
}

// Resource is the identity of a resource type: two are the same if their addresses are.
type Resource struct {
	Name string // for messages
	// Owner says who defines it: what that is, the package that makes resources decides.
	Owner any
}

// MaxFlat is the largest number of core values that anything asks for: a value with more is passed
// in memory.
const MaxFlat = 16

var prims = [...]struct {
	size  uint32
	core  Core
	plain bool
}{
	Bool: {1, I32, false},
	S8:   {1, I32, true}, U8: {1, I32, true},
	S16: {2, I32, true}, U16: {2, I32, true},
	S32: {4, I32, true}, U32: {4, I32, true},
	S64: {8, I64, true}, U64: {8, I64, true},
	F32: {4, F32Core, true}, F64: {8, F64Core, true},
	Char: {4, I32, false},
}

var primTypes = func() (all [ErrorContext + 1]*Type) {
	for k := Bool; k <= Char; k++ {
		p := prims[k]
		all[k] = &Type{Kind: k, Size: p.size, Align: p.size, Wide: uint64(p.size), Flat: []Core{p.core}, Plain: p.plain, Depth: 1, Nodes: 1}
	}
	all[String] = &Type{Kind: String, Size: 8, Align: 4, Wide: 16, Flat: []Core{I32, I32}, Depth: 1, Nodes: 1}
	all[ErrorContext] = &Type{Kind: ErrorContext, Size: 4, Align: 4, Wide: 4, Flat: []Core{I32}, Handles: true, Depth: 1, Nodes: 1}
	return all
}()

// Prim returns the primitive type of a kind up to ErrorContext.
func Prim(k Kind) *Type { return primTypes[k] }

// New returns t with its layout, which follows from Kind, Labels, Elems, Length and Resource.
func New(t Type) *Type {
	t.Depth, t.Nodes = 1, 1
	for _, e := range t.Elems {
		if e == nil {
			continue
		}
		t.Depth = max(t.Depth, e.Depth+1)
		t.Nodes = add(t.Nodes, e.Nodes)
		t.Borrows = t.Borrows || e.Borrows
		t.Carries = t.Carries || e.Carries
		t.Handles = t.Handles || e.Handles
	}
	switch t.Kind {
	case List, Map:
		t.Size, t.Align, t.Wide, t.Flat = 8, 4, 16, []Core{I32, I32}
	case FixedList:
		t.layFixed()
	case Record, Tuple:
		t.layFields()
	case Variant, Enum, Option, Result:
		t.layCases()
	case Flags:
		t.Size = flagsSize(len(t.Labels))
		t.Align, t.Wide, t.Flat = t.Size, uint64(t.Size), []Core{I32}
		t.Plain = len(t.Labels) == int(8*t.Size)
	case Own, Borrow, Stream, Future:
		t.Size, t.Align, t.Wide, t.Flat = 4, 4, 4, []Core{I32}
		t.Borrows = t.Borrows || t.Kind == Borrow
		t.Carries = t.Carries || t.Kind == Stream || t.Kind == Future
		t.Handles = true
	}
	return &t
}

// maxNodes is where counting nodes ends.
const maxNodes = 1 << 30

func add(a, b int) int { return min(a+b, maxNodes) }

func flagsSize(n int) uint32 {
	switch {
	case n <= 8:
		return 1
	case n <= 16:
		return 2
	}
	return 4
}

// alignTo rounds an offset up to an alignment, which is a power of two.
func alignTo[N uint32 | uint64](at, align N) N { return (at + align - 1) &^ (align - 1) }

// clamp keeps a size that no memory has within what a uint32 holds. Validation refuses such a type.
func clamp(n uint64) uint32 { return uint32(min(n, 1<<31)) }

func (t *Type) layFixed() {
	e := t.Elems[0]
	t.Size, t.Align = clamp(uint64(t.Length)*uint64(e.Size)), e.Align
	t.Wide = min(uint64(t.Length)*min(e.Wide, 1<<31), 1<<40)
	t.Plain = e.Plain
	if e.Flat == nil || uint64(len(e.Flat))*uint64(t.Length) > MaxFlat {
		return
	}
	t.Flat = []Core{}
	for range t.Length {
		t.Flat = append(t.Flat, e.Flat...)
	}
}

func (t *Type) layFields() {
	t.Align, t.Plain = 1, true
	var size, wide, wideAlign uint64 = 0, 0, 1
	t.Flat = []Core{}
	var fields uint64
	for _, f := range t.Elems {
		fields = min(fields+uint64(f.Size), 1<<40)
		t.Slots = append(t.Slots, uint32(len(t.Flat)))
		size = alignTo(size, uint64(f.Align))
		t.Offsets = append(t.Offsets, clamp(size))
		size = min(size+uint64(f.Size), 1<<40)
		wide = min(alignTo(wide, f.wideAlign())+f.Wide, 1<<40)
		wideAlign = max(wideAlign, f.wideAlign())
		t.Align = max(t.Align, f.Align)
		t.Plain = t.Plain && f.Plain
		if t.Flat == nil || f.Flat == nil || len(t.Flat)+len(f.Flat) > MaxFlat {
			t.Flat = nil
			continue
		}
		t.Flat = append(t.Flat, f.Flat...)
	}
	t.Size, t.Wide = clamp(alignTo(size, uint64(t.Align))), alignTo(wide, wideAlign)
	// What lies between fields may be a secret of the component that gives the value.
	t.Plain = t.Plain && fields == uint64(t.Size)
}

// wideAlign is the alignment if pointers had 64 bits.
func (t *Type) wideAlign() uint64 {
	switch t.Kind {
	case String, List, Map:
		return 8
	case FixedList:
		return t.Elems[0].wideAlign()
	case Record, Tuple, Variant, Enum, Option, Result:
		a := uint64(max(1, t.Discriminant))
		for _, e := range t.Elems {
			if e != nil {
				a = max(a, e.wideAlign())
			}
		}
		return a
	}
	return uint64(t.Align)
}

// Cases returns how many cases a variant, enum, option or result has.
func (t *Type) Cases() int {
	if t.Kind == Enum {
		return len(t.Labels)
	}
	return len(t.Elems)
}

// Case returns the type of a case's value, or nil.
func (t *Type) Case(i int) *Type {
	if t.Kind == Enum {
		return nil
	}
	return t.Elems[i]
}

func (t *Type) layCases() {
	n := t.Cases()
	switch {
	case n <= 1<<8:
		t.Discriminant = 1
	case n <= 1<<16:
		t.Discriminant = 2
	default:
		t.Discriminant = 4
	}
	t.Align = t.Discriminant
	var largest, wide uint64
	payloadAlign, widePayload := uint32(1), uint64(1)
	for i := range n {
		c := t.Case(i)
		if c == nil {
			continue
		}
		payloadAlign, widePayload = max(payloadAlign, c.Align), max(widePayload, c.wideAlign())
		largest, wide = max(largest, uint64(c.Size)), max(wide, c.Wide)
	}
	t.Align = max(t.Align, payloadAlign)
	t.Payload = alignTo(t.Discriminant, payloadAlign)
	t.Size = clamp(alignTo(uint64(t.Payload)+largest, uint64(t.Align)))
	t.Wide = alignTo(alignTo(uint64(t.Discriminant), widePayload)+wide, max(uint64(t.Discriminant), widePayload))
	t.Flat = t.flatCases()
}

// flatCases returns a case's number and what holds the core values of each case, or nil if that is
// more than MaxFlat.
func (t *Type) flatCases() []Core {
	flat := []Core{I32}
	for i := range t.Cases() {
		c := t.Case(i)
		if c == nil {
			continue
		}
		if c.Flat == nil {
			return nil
		}
		for j, v := range c.Flat {
			if j+1 == len(flat) {
				flat = append(flat, v)
			} else {
				flat[j+1] = join(flat[j+1], v)
			}
		}
	}
	if len(flat) > MaxFlat {
		return nil
	}
	return flat
}

// join returns the kind that holds values of both kinds.
func join(a, b Core) Core {
	switch {
	case a == b:
		return a
	case (a == I32 || a == F32Core) && (b == I32 || b == F32Core):
		return I32
	}
	return I64
}

// Label returns the name of a field or case, for messages.
func (t *Type) Label(i int) string {
	switch t.Kind {
	case Option:
		return [...]string{"none", "some"}[i]
	case Result:
		return [...]string{"ok", "error"}[i]
	case Tuple:
		return strconv.Itoa(i)
	}
	return t.Labels[i]
}

// Same reports whether two types are the same. Both may be nil, for the lack of a type.
func Same(a, b *Type) bool {
	if a == b {
		return true
	}
	if a == nil || b == nil || a.Kind != b.Kind || a.Length != b.Length || a.Resource != b.Resource ||
		len(a.Elems) != len(b.Elems) || len(a.Labels) != len(b.Labels) {
		return false
	}
	for i, l := range a.Labels {
		if l != b.Labels[i] {
			return false
		}
	}
	for i, e := range a.Elems {
		if !Same(e, b.Elems[i]) {
			return false
		}
	}
	return true
}
