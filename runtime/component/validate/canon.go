package validate

import (
	"slices"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/binary"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/types"
)

// canon checks the canonical definitions of a scope.
type canon struct{ *scope }

// i32s is that many i32.
func i32s(n int) []coreVal { return slices.Repeat([]coreVal{{kind: binary.CoreI32}}, n) }

// coreVals returns the kinds of core values that a function's values pass as.
func coreVals(list []types.Core) []coreVal {
	all := make([]coreVal, len(list))
	for i, c := range list {
		all[i].kind = [...]binary.CoreKind{
			types.I32: binary.CoreI32, types.I64: binary.CoreI64, types.F32Core: binary.CoreF32, types.F64Core: binary.CoreF64,
		}[c]
	}
	return all
}

// signature is the type of the core function that has a function's signature.
func signature(g types.Signature) coreFunc {
	return coreFunc{params: coreVals(g.Params), results: coreVals(g.Results)}
}

// memory checks a memory that the canonical ABI uses.
func (s canon) memory(index uint32) {
	m := element(s.validator, s.core[binary.SortCoreMemory], index, binary.SortCoreMemory).limits
	switch {
	case m.Shared:
		s.fail("core memory %d is shared, and the canonical ABI cannot use it", index)
	case m.Is64:
		s.unsupported("core memory %d has addresses of 64 bits, which is not supported for the canonical ABI", index)
	case m.PageBits != 16:
		s.unsupported("core memory %d has pages of another size than 64 KiB, which is not supported for the canonical ABI", index)
	}
}

// needs are what the values that pass need of options.
type needs struct{ memory, realloc bool }

// out adds what it takes that the guest's core code gives a value.
func (n *needs) out(list ...*valueType) {
	for _, t := range list {
		n.memory = n.memory || t != nil && t.pointers
	}
}

// in adds what it takes that the guest's core code is given a value.
func (n *needs) in(list ...*valueType) {
	for _, t := range list {
		n.realloc = n.realloc || t != nil && t.pointers
	}
}

// options checks the options of any canonical definition.
func (s canon) options(o *binary.Options, need needs) {
	if o.Repeated != "" {
		s.fail("the option %s is given more than once", o.Repeated)
	}
	if o.Memory != nil {
		s.memory(*o.Memory)
	}
	if o.Realloc != nil {
		s.coreFuncHas(*o.Realloc, "realloc", coreFunc{params: i32s(4), results: i32s(1)})
	}
	switch {
	case o.Realloc != nil && o.Memory == nil:
		s.fail("the option realloc is given without memory")
	case need.realloc && o.Realloc == nil && o.Memory != nil:
		s.fail("the option realloc is needed")
	case (need.memory || need.realloc) && o.Memory == nil:
		s.fail("the option memory is needed")
	}
}

// notLifted refuses options that only lifted functions have.
func (s canon) notLifted(o *binary.Options) {
	if o.PostReturn != nil {
		s.fail("the option post-return is given, and only a lifted function has it")
	}
	if o.Callback != nil {
		s.fail("the option callback is given, and only a lifted function has it")
	}
}

func (s canon) lift(d *binary.Lift) *funcType {
	f, ok := s.typeAt(d.Type).(*funcType)
	if !ok {
		s.wrongType(d.Type, "a function type")
	}
	o := &d.Options
	if o.Async && !f.typ.Async {
		s.fail("the option async is given for a function that is not async")
	}
	g := f.typ.Lifted(o.Async, o.Callback != nil)
	need := needs{}
	need.in(f.params...)
	need.out(f.result)
	need.realloc = need.realloc || g.ArgsInMemory
	need.memory = need.memory || g.ResultInMemory
	if o.Async {
		// The result goes through task.return.
		_, inMemory := types.Returned(f.typ.Result)
		need.memory = need.memory || inMemory
	}
	s.options(o, need)
	want := signature(g)
	s.coreFuncHas(d.CoreFunc, "the function that it is lifted to", want)
	if o.PostReturn != nil {
		if o.Async {
			s.fail("the options async and post-return are given")
		}
		s.coreFuncHas(*o.PostReturn, "post-return", coreFunc{params: want.results})
	}
	if o.Callback != nil {
		if !o.Async {
			s.fail("the option callback is given without async")
		}
		s.coreFuncHas(*o.Callback, "callback", coreFunc{params: i32s(3), results: i32s(1)})
	}
	return f
}

func (s canon) lower(d *binary.Lower) coreFunc {
	f := s.funcAt(d.Func)
	o := &d.Options
	s.notLifted(o)
	if o.Async && !f.typ.Async {
		s.fail("the option async is given for a function that is not async")
	}
	g := f.typ.Lowered(o.Async)
	need := needs{}
	need.out(f.params...)
	need.in(f.result)
	need.memory = need.memory || g.ArgsInMemory || g.ResultInMemory
	s.options(o, need)
	return signature(g)
}
