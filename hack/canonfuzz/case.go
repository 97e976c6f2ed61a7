package main

import (
	"encoding/hex"
	"math/rand/v2"

	"github.com/krustlet-go/krustlet-wasi/hack/canontest"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/binary"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/plan"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/types"
)

// typeJSON is a type as reference.py reads it.
type typeJSON struct {
	Kind  string      `json:"kind"`
	Elems []*typeJSON `json:"elems,omitempty"`
	N     int         `json:"n,omitempty"` // labels, elements, or the number of the resource
}

var kinds = map[types.Kind]string{
	types.Bool: "bool", types.S8: "s8", types.U8: "u8", types.S16: "s16", types.U16: "u16", types.S32: "s32",
	types.U32: "u32", types.S64: "s64", types.U64: "u64", types.F32: "f32", types.F64: "f64", types.Char: "char",
	types.String: "string", types.ErrorContext: "error-context", types.List: "list", types.FixedList: "fixed",
	types.Record: "record", types.Tuple: "tuple", types.Variant: "variant", types.Enum: "enum",
	types.Option: "option", types.Result: "result", types.Flags: "flags", types.Map: "map",
	types.Own: "own", types.Borrow: "borrow", types.Stream: "stream", types.Future: "future",
}

func (c *comparison) typeJSON(t *types.Type) *typeJSON {
	if t == nil {
		return nil
	}
	j := &typeJSON{Kind: kinds[t.Kind], N: len(t.Labels) + int(t.Length)}
	for i, r := range c.resources {
		if t.Resource == r {
			j.N = i
		}
	}
	for _, e := range t.Elems {
		j.Elems = append(j.Elems, c.typeJSON(e))
	}
	return j
}

type entryJSON struct {
	Type *typeJSON `json:"type"`
	Rep  uint32    `json:"rep"`
}

// guestJSON is one side as it is before the call.
type guestJSON struct {
	Mem      string      `json:"mem"`
	Size     int         `json:"size"`
	Next     uint32      `json:"next"`
	Strings  int         `json:"strings"`
	Flat     []uint64    `json:"flat"`
	InMemory bool        `json:"inMemory"`
	Out      int64       `json:"out"` // the address of the result, or -1
	Table    []entryJSON `json:"table"`
	Lie      string      `json:"lie"`
	LieAt    int         `json:"lieAt"` // the number of the first call that lies
}

type caseJSON struct {
	Type      *typeJSON `json:"type"`
	Resources int       `json:"resources"`
	Impl      bool      `json:"impl"`   // the target defines resource 0
	Within    bool      `json:"within"` // source and target are the same instance
	From      guestJSON `json:"from"`
	To        guestJSON `json:"to"`
	// Buffer is there where elements move between the buffers of a stream.
	Buffer *bufferJSON `json:"buffer"`
}

type bufferJSON struct {
	From uint32 `json:"from"`
	To   uint32 `json:"to"`
	N    uint32 `json:"n"`
}

// outcome is what a case leads to.
type outcome struct {
	Trap     string      `json:"trap"` // "", "lift" or "lower"
	Flat     []uint64    `json:"flat"`
	Reallocs [][4]uint32 `json:"reallocs"`
	Mem      string      `json:"mem"`
	Size     int         `json:"size"`
	Source   [][3]any    `json:"source"`
	Table    [][3]any    `json:"table"`
}

var lies = []string{"", "", "", "", "unaligned", "outside", "same", "inplace", "end", "grow"}

const memorySize = 1 << 15

// comparison is one case: the type, and both sides.
type comparison struct {
	canontest.Random
	resources []*types.Resource
	t         *types.Type
	from, to  *canontest.Guest
	flat      [plan.MaxValues]plan.Value
	json      caseJSON
}

// newComparison makes the case of a seed.
func newComparison(seed uint64) *comparison {
	c := &comparison{resources: []*types.Resource{{Name: "a"}, {Name: "b"}}}
	c.Random = canontest.Random{Rand: rand.New(rand.NewPCG(seed, 0))}
	if c.IntN(2) == 0 {
		c.Resources = c.resources
	}
	c.t = c.Type(1 + c.IntN(5))
	encodings := [2]int{c.IntN(3), c.IntN(3)}
	c.json.Within = c.IntN(8) == 0
	if c.json.Within {
		encodings[1] = encodings[0]
	}
	c.json.Resources, c.json.Impl = len(c.resources), c.IntN(4) == 0
	inMemory := c.t.Flat == nil || c.IntN(2) == 0
	c.from = canontest.NewGuest(memorySize, binary.Encoding(encodings[0]))
	c.plant(inMemory)
	for i, core := range c.t.Flat {
		if core == types.I32 || core == types.F32Core {
			c.flat[i].Bits |= c.Uint64() << 32 // not defined
		}
	}
	c.to = c.from
	if !c.json.Within {
		// Within an instance the reference copies what is there before the allocator gives memory that
		// the guest lists, but does not own, to the target. We copy what is there after.
		c.corrupt()
		c.to = canontest.NewGuest(memorySize, binary.Encoding(encodings[1]))
		c.to.Mem[memorySize-1] = 1
	}
	if c.json.Impl {
		c.to.Impl = c.resources[0]
	}
	c.json.From = c.guest(c.from, inMemory)
	for i := range c.t.Flat {
		c.json.From.Flat = append(c.json.From.Flat, mask(c.flat[i].Bits, c.t.Flat[i]))
	}
	if inMemory {
		c.json.From.Flat = []uint64{c.flat[0].Bits & 0xffffffff}
	}
	c.json.To = c.guest(c.to, c.t.Flat == nil || c.IntN(2) == 0)
	if c.json.To.InMemory && c.IntN(2) == 0 {
		c.json.To.Out = int64([]int{64, 4096, 65, 66, 68, memorySize - 1, memorySize, 1<<32 - 1, memorySize - 16}[c.IntN(9)])
	}
	c.json.To.Lie, c.json.To.LieAt = lies[c.IntN(len(lies))], 1+c.IntN(3)
	if c.json.Within {
		c.json.To.Lie, c.json.To.Out = []string{"", "grow"}[c.IntN(2)], -1
	}
	c.json.From.Lie, c.json.From.LieAt = c.json.To.Lie, c.json.To.LieAt
	c.buffer()
	c.json.Type = c.typeJSON(c.t)
	return c
}

// buffer makes some cases of lists ones of buffers: what the list has is what is written.
func (c *comparison) buffer() {
	if c.t.Kind != types.List || c.json.Within || c.json.From.InMemory || c.IntN(2) == 0 {
		return
	}
	c.json.Buffer = &bufferJSON{uint32(c.flat[0].Bits), 1024, uint32(c.flat[1].Bits)}
	if c.IntN(8) == 0 {
		c.json.Buffer.To = []uint32{1025, 1026, 1028, memorySize - 8, memorySize, 1<<32 - 1}[c.IntN(6)]
	}
	c.to.Next = 1 << 14
	c.t = c.t.Elems[0]
	c.json.To.Next, c.json.To.Out = c.to.Next, 0
}

func mask(bits uint64, core types.Core) uint64 {
	if core == types.I32 || core == types.F32Core {
		return bits & 0xffffffff
	}
	return bits
}

// corrupt changes core values, memory and the table at random.
func (c *comparison) corrupt() {
	if c.IntN(2) == 0 {
		return
	}
	numbers := []uint64{0, 1, 2, 3, 7, 1 << 31, 1<<31 + 3, 1<<32 - 1, 1 << 28, memorySize, memorySize - 1, memorySize - 8, c.Uint64()}
	number := func() uint64 { return numbers[c.IntN(len(numbers))] }
	used := max(32, int(c.from.Next))
	for range 1 + c.IntN(3) {
		switch c.IntN(5) {
		case 0:
			c.flat[c.IntN(len(c.flat))].Bits = number()
		case 1:
			c.flat[c.IntN(len(c.flat))].Bits += uint64(c.IntN(5)) - 2
		case 2:
			c.from.Mem[c.IntN(used)] = byte(c.Uint32())
		case 3:
			c.from.Mem[c.IntN(used)] ^= 1 << c.IntN(8)
		case 4:
			at, n := c.IntN(used)&^3, number()
			for i := range 4 {
				c.from.Mem[at+i] = byte(n >> (8 * i))
			}
		}
	}
}

func (c *comparison) guest(g *canontest.Guest, inMemory bool) guestJSON {
	j := guestJSON{
		Mem: hex.EncodeToString(trimmed(g.Mem)), Size: len(g.Mem), Next: g.Next, Strings: int(g.Strings), InMemory: inMemory, Out: -1,
	}
	for _, e := range g.Table[1:] {
		t := &typeJSON{Kind: kinds[e.Kind], Elems: []*typeJSON{c.typeJSON(e.Elem)}}
		for i, r := range c.resources {
			if e.Resource == r {
				t.N = i
			}
		}
		j.Table = append(j.Table, entryJSON{t, e.Handle.Rep})
	}
	return j
}

func trimmed(mem []byte) []byte {
	n := len(mem)
	for n > 0 && mem[n-1] == 0 {
		n--
	}
	return mem[:n]
}
