package validate

import (
	enc "encoding/binary"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/binary"
)

// coreTypeItem is an element of the index space of core types: a *coreType or a *moduleType.
type coreTypeItem interface{}

// coreType is a core type. It is interned with its recursion group: two types are the same if their
// addresses are.
type coreType struct {
	number uint64
	final  bool
	super  *coreType // or nil
	depth  int       // how many supertypes it has
	fn     *coreFunc // of a function
	// fields are those of a struct, or the elements of an array.
	fields []coreField
	array  bool
}

// coreFunc is what a core function takes and returns.
type coreFunc struct{ params, results []coreVal }

// coreVal is the type of a core value.
type coreVal struct {
	kind     binary.CoreKind
	abstract uint8     // what a reference refers to: an abstract type,
	ref      *coreType // or this one
	null     bool
}

type coreField struct {
	val     coreVal
	mutable bool
}

// maxSupers is how many supertypes a core type has at most, as the core says.
const maxSupers = 63

// coreTypes has one of each core type.
type coreTypes struct {
	groups map[string][]*coreType
	count  uint64
	key    []byte
}

func newCoreTypes() *coreTypes { return &coreTypes{groups: map[string][]*coreType{}} }

// coreSpace is an index space of core types, which a recursion group is defined in.
type coreSpace struct {
	v *validator
	// at returns an earlier type; it fails if there is none.
	at    func(index uint32) *coreType
	first uint32 // the group's first type
}

// group returns the types of a recursion group. There is one group of types that are like these.
func (c *coreSpace) group(list []binary.CoreSubType) []*coreType {
	in := c.v.core
	in.key = in.key[:0]
	for i := range list {
		c.keyOf(&list[i], uint32(len(list)))
	}
	if known, ok := in.groups[string(in.key)]; ok {
		return known
	}
	key := string(in.key)
	made := make([]*coreType, len(list))
	for i := range made {
		in.count++
		made[i] = &coreType{number: in.count}
	}
	for i := range list {
		c.fill(made, i, &list[i])
	}
	for i := range list {
		c.checkSuper(made[i])
	}
	in.groups[key] = made
	return made
}

func (in *coreTypes) put(n uint64) { in.key = enc.AppendUvarint(in.key, n) }

// keyOf appends what tells a type from others. A type of the group is told by its place in it.
func (c *coreSpace) keyOf(t *binary.CoreSubType, size uint32) {
	in := c.v.core
	c.v.spend(1)
	flags := uint64(len(t.Supers)) << 1
	if t.Final {
		flags |= 1
	}
	in.put(flags)
	for _, super := range t.Supers {
		c.keyIndex(super, size)
	}
	switch d := t.Type.(type) {
	case *binary.CoreFuncType:
		in.put(0)
		c.keyVals(d.Params, size)
		c.keyVals(d.Results, size)
	case *binary.CoreStructType:
		in.put(1)
		in.put(uint64(len(d.Fields)))
		for _, f := range d.Fields {
			c.keyField(f, size)
		}
	case *binary.CoreArrayType:
		in.put(2)
		c.keyField(d.Field, size)
	}
}

func (c *coreSpace) keyIndex(index, size uint32) {
	if index >= c.first && index-c.first < size {
		c.v.core.put(uint64(index-c.first) << 1)
		return
	}
	c.v.core.put(c.at(index).number<<1 | 1)
}

func (c *coreSpace) keyVals(list []binary.CoreValType, size uint32) {
	c.v.spend(len(list))
	c.v.core.put(uint64(len(list)))
	for _, t := range list {
		c.keyVal(t, size)
	}
}

func (c *coreSpace) keyField(f binary.CoreField, size uint32) {
	c.v.spend(1)
	c.v.core.key = append(c.v.core.key, flag(f.Mutable))
	c.keyVal(f.Type, size)
}

func (c *coreSpace) keyVal(t binary.CoreValType, size uint32) {
	in := c.v.core
	in.key = append(in.key, byte(t.Kind))
	if t.Kind != binary.CoreRef {
		return
	}
	in.key = append(in.key, flag(t.Null), t.Heap.Abstract)
	if t.Heap.Abstract == 0 {
		c.keyIndex(t.Heap.Index, size)
	}
}

func flag(b bool) byte {
	if b {
		return 1
	}
	return 0
}

// fill sets what a type of a group is.
func (c *coreSpace) fill(group []*coreType, i int, d *binary.CoreSubType) {
	t := group[i]
	t.final = d.Final
	switch d := d.Type.(type) {
	case *binary.CoreFuncType:
		t.fn = &coreFunc{params: c.vals(group, d.Params), results: c.vals(group, d.Results)}
	case *binary.CoreStructType:
		for _, f := range d.Fields {
			t.fields = append(t.fields, coreField{c.val(group, f.Type), f.Mutable})
		}
	case *binary.CoreArrayType:
		t.array = true
		t.fields = []coreField{{c.val(group, d.Field.Type), d.Field.Mutable}}
	}
	switch len(d.Supers) {
	case 0:
	case 1:
		t.super = c.in(group, d.Supers[0])
	default:
		c.v.fail("a core type has %d supertypes, and may have one", len(d.Supers))
	}
}

// in returns a type of the group, or an earlier one.
func (c *coreSpace) in(group []*coreType, index uint32) *coreType {
	if index >= c.first && uint64(index-c.first) < uint64(len(group)) {
		return group[index-c.first]
	}
	return c.at(index)
}

func (c *coreSpace) vals(group []*coreType, list []binary.CoreValType) []coreVal {
	all := make([]coreVal, len(list))
	for i, t := range list {
		all[i] = c.val(group, t)
	}
	return all
}

func (c *coreSpace) val(group []*coreType, t binary.CoreValType) coreVal {
	v := coreVal{kind: t.Kind}
	if t.Kind != binary.CoreRef {
		return v
	}
	v.null, v.abstract = t.Null, t.Heap.Abstract
	if v.abstract == 0 {
		v.ref = c.in(group, t.Heap.Index)
	}
	return v
}

// checkSuper checks that a type is one that its supertype allows. The supertype stands before it.
func (c *coreSpace) checkSuper(t *coreType) {
	if t.super == nil {
		return
	}
	if t.super.number >= t.number {
		c.v.fail("the supertype of a core type does not stand before it")
	}
	t.depth = t.super.depth + 1
	switch {
	case t.depth > maxSupers:
		c.v.fail("a core type has more than %d supertypes", maxSupers)
	case t.super.final:
		c.v.fail("the supertype of a core type is final")
	case !t.extends(t.super):
		c.v.fail("a core type is not what its supertype is")
	}
}

// function returns the type of core functions that the canonical ABI makes.
func (v *validator) coreFunction(f coreFunc) *coreType {
	d := &binary.CoreFuncType{Params: declaredVals(f.params), Results: declaredVals(f.results)}
	space := &coreSpace{v: v, at: func(uint32) *coreType { return nil }}
	return space.group([]binary.CoreSubType{{Final: true, Type: d}})[0]
}

// declaredVals returns numeric types as a binary has them.
func declaredVals(list []coreVal) []binary.CoreValType {
	all := make([]binary.CoreValType, len(list))
	for i, t := range list {
		all[i] = binary.CoreValType{Kind: t.kind}
	}
	return all
}
