package validate

import (
	"slices"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/binary"
)

// flat returns the core values that a value passes as, as the specification says it, from the
// definitions alone. known is false if a type is not one that the component itself defines.
func (o *oracle) flat(t binary.ValType) (flat []binary.CoreKind, known bool) {
	if t.Prim != 0 {
		return o.flatDef(t.Prim)
	}
	flat, known = o.flatDef(o.types[t.Index])
	return flat[:min(len(flat), 20)], known // of more than 16 only that they are more matters
}

func (o *oracle) flatDef(d binary.DefType) (flat []binary.CoreKind, known bool) {
	const i32 = binary.CoreI32
	switch d := d.(type) {
	case binary.Prim:
		switch d {
		case binary.S64, binary.U64:
			return []binary.CoreKind{binary.CoreI64}, true
		case binary.F32:
			return []binary.CoreKind{binary.CoreF32}, true
		case binary.F64:
			return []binary.CoreKind{binary.CoreF64}, true
		case binary.String:
			return []binary.CoreKind{i32, i32}, true
		}
		return []binary.CoreKind{i32}, true
	case *binary.List:
		if !d.Fixed {
			return []binary.CoreKind{i32, i32}, true
		}
		one, known := o.flat(d.Type)
		return slices.Repeat(one, int(min(d.Length, 20))), known
	case *binary.Map:
		return []binary.CoreKind{i32, i32}, true
	case *binary.Record:
		var list []binary.ValType
		for _, f := range d.Fields {
			list = append(list, f.Type)
		}
		return o.flatAll(list)
	case *binary.Tuple:
		return o.flatAll(d.Types)
	case *binary.Variant:
		var list []*binary.ValType
		for _, c := range d.Cases {
			list = append(list, c.Type)
		}
		return o.flatCases(list)
	case *binary.Option:
		return o.flatCases([]*binary.ValType{&d.Type})
	case *binary.Result:
		return o.flatCases([]*binary.ValType{d.OK, d.Err})
	case *binary.Flags, *binary.Enum, *binary.Own, *binary.Borrow, *binary.Stream, *binary.Future:
		return []binary.CoreKind{i32}, true
	}
	return nil, false
}

func (o *oracle) flatAll(list []binary.ValType) (flat []binary.CoreKind, known bool) {
	known = true
	for _, t := range list {
		one, ok := o.flat(t)
		flat, known = append(flat, one...), known && ok
	}
	return flat, known
}

func (o *oracle) flatCases(list []*binary.ValType) (flat []binary.CoreKind, known bool) {
	flat, known = []binary.CoreKind{binary.CoreI32}, true
	for _, t := range list {
		if t == nil {
			continue
		}
		one, ok := o.flat(*t)
		known = known && ok
		for i, k := range one {
			switch {
			case i+1 >= len(flat):
				flat = append(flat, k)
			case flat[i+1] != k && flat[i+1] != binary.CoreI64 && flat[i+1] != binary.CoreF64 && k != binary.CoreI64 && k != binary.CoreF64:
				flat[i+1] = binary.CoreI32
			case flat[i+1] != k:
				flat[i+1] = binary.CoreI64
			}
		}
	}
	return flat, known
}

// liftedType is the type of a core function that is lifted.
func (o *oracle) liftedType(d *binary.Lift) (params, results []binary.CoreKind, known bool) {
	f, ok := o.types[d.Type].(*binary.Func)
	if !ok {
		return nil, nil, false
	}
	var list []binary.ValType
	for _, p := range f.Params {
		list = append(list, p.Type)
	}
	params, known = o.flatAll(list)
	if len(params) > 16 {
		params = []binary.CoreKind{binary.CoreI32}
	}
	switch {
	case d.Options.Async && d.Options.Callback != nil:
		results = []binary.CoreKind{binary.CoreI32}
	case !d.Options.Async && f.Result != nil:
		results, ok = o.flat(*f.Result)
		known = known && ok
		if len(results) > 1 {
			results = []binary.CoreKind{binary.CoreI32}
		}
	}
	return params, results, known
}
