package validate

import (
	"encoding/binary"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/types"
)

// interner keeps one *types.Type of each type of values, and one *types.Func of each function's, so
// that two are the same if their addresses are.
type interner struct {
	types     map[string]*types.Type
	funcs     map[string]*types.Func
	numbers   map[*types.Type]uint64
	resources map[*types.Resource]uint64
	key       []byte
}

func newInterner() *interner {
	in := &interner{
		types: map[string]*types.Type{}, funcs: map[string]*types.Func{},
		numbers: map[*types.Type]uint64{}, resources: map[*types.Resource]uint64{},
	}
	for k := types.Bool; k <= types.ErrorContext; k++ {
		in.numbers[types.Prim(k)] = uint64(k) + 1
	}
	return in
}

func (in *interner) number(n uint64)   { in.key = binary.AppendUvarint(in.key, n) }
func (in *interner) label(l string)    { in.number(uint64(len(l))); in.key = append(in.key, l...) }
func (in *interner) typ(t *types.Type) { in.number(in.numbers[t]) } // 0 is the lack of a type

func (in *interner) resource(r *types.Resource) {
	if r == nil {
		in.number(0)
		return
	}
	n, ok := in.resources[r]
	if !ok {
		n = uint64(len(in.resources)) + 1
		in.resources[r] = n
	}
	in.number(n)
}

// value returns the type that is like t. Elements of t are from here.
func (in *interner) value(t types.Type) *types.Type {
	in.key = append(in.key[:0], byte(t.Kind))
	in.number(uint64(t.Length))
	in.resource(t.Resource)
	in.number(uint64(len(t.Elems)))
	for _, e := range t.Elems {
		in.typ(e)
	}
	for _, l := range t.Labels {
		in.label(l)
	}
	if known, ok := in.types[string(in.key)]; ok {
		return known
	}
	made := types.New(t)
	in.types[string(in.key)] = made
	in.numbers[made] = uint64(len(in.numbers)) + 1
	return made
}

// function returns the type of a function that is like f.
func (in *interner) function(f types.Func) *types.Func {
	in.key = in.key[:0]
	if f.Async {
		in.key = append(in.key, 1)
	} else {
		in.key = append(in.key, 0)
	}
	in.typ(f.Result)
	for _, p := range f.Params {
		in.label(p.Label)
		in.typ(p.Type)
	}
	if known, ok := in.funcs[string(in.key)]; ok {
		return known
	}
	key := string(in.key)
	made := types.NewFunc(f)
	in.funcs[key] = made
	return made
}
