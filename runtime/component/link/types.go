package link

import (
	"github.com/krustlet-go/krustlet-wasi/runtime/component/binary"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/types"
)

// scoped is the type of an instance or component, and where it was defined.
type scoped struct {
	declarations []binary.Declaration
	scope        *frame
}

// typeOf evaluates a type.
func (f *frame) typeOf(d binary.DefType) (any, error) {
	switch d := d.(type) {
	case *binary.Func:
		return f.funcType(d)
	case *binary.Resource:
		return f.defineResource(d)
	case *binary.InstanceType:
		return &scoped{d.Decls, f}, nil
	case *binary.ComponentType:
		return &scoped{d.Decls, f}, nil
	}
	return f.valueType(d)
}

func (f *frame) funcType(d *binary.Func) (*types.Func, error) {
	if err := f.spend(len(d.Params)); err != nil {
		return nil, err
	}
	t := types.Func{Async: d.Async}
	for _, p := range d.Params {
		v, err := f.value(&p.Type)
		if err != nil {
			return nil, err
		}
		t.Params = append(t.Params, types.Param{Label: p.Label, Type: v})
	}
	var err error
	t.Result, err = f.value(d.Result)
	return types.NewFunc(t), err
}

// defineResource makes a resource type that is no other's.
func (f *frame) defineResource(d *binary.Resource) (*types.Resource, error) {
	owner := &Definer{Instance: f.instance, Destructor: None}
	if d.Destructor != nil {
		item, err := element(f.core[binary.SortCoreFunc], *d.Destructor)
		if err != nil {
			return nil, err
		}
		owner.Destructor = item
	}
	return &types.Resource{Name: "resource", Owner: owner}, nil
}

// value returns the type that a reference means: nil of nil.
func (f *frame) value(v *binary.ValType) (*types.Type, error) {
	if v == nil {
		return nil, nil
	}
	if v.Prim != 0 {
		return prim(v.Prim)
	}
	t, err := element(f.types, v.Index)
	if err != nil {
		return nil, err
	}
	if t, ok := t.(*types.Type); ok {
		return t, nil
	}
	return nil, errWrong
}

func (f *frame) values(all []binary.ValType) (elems []*types.Type, err error) {
	for i := range all {
		t, err := f.value(&all[i])
		if err != nil {
			return nil, err
		}
		elems = append(elems, t)
	}
	return elems, nil
}

var primKinds = map[binary.Prim]types.Kind{
	binary.Bool: types.Bool, binary.S8: types.S8, binary.U8: types.U8, binary.S16: types.S16,
	binary.U16: types.U16, binary.S32: types.S32, binary.U32: types.U32, binary.S64: types.S64,
	binary.U64: types.U64, binary.F32: types.F32, binary.F64: types.F64, binary.Char: types.Char,
	binary.String: types.String, binary.ErrorContext: types.ErrorContext,
}

func prim(p binary.Prim) (*types.Type, error) {
	kind, ok := primKinds[p]
	if !ok {
		return nil, errWrong
	}
	return types.Prim(kind), nil
}

// valueType evaluates the type of a value.
func (f *frame) valueType(d binary.DefType) (*types.Type, error) {
	t := types.Type{}
	var refs []binary.ValType
	optional := func(kind types.Kind, refs ...*binary.ValType) (err error) {
		t.Kind = kind
		t.Elems = make([]*types.Type, len(refs))
		for i, r := range refs {
			if t.Elems[i], err = f.value(r); err != nil {
				return err
			}
		}
		return nil
	}
	var err error
	switch d := d.(type) {
	case binary.Prim:
		return prim(d)
	case *binary.Record:
		t.Kind = types.Record
		for _, x := range d.Fields {
			t.Labels, refs = append(t.Labels, x.Label), append(refs, x.Type)
		}
	case *binary.Tuple:
		t.Kind, refs = types.Tuple, d.Types
	case *binary.List:
		if t.Kind = types.List; d.Fixed {
			t.Kind, t.Length = types.FixedList, d.Length
		}
		refs = []binary.ValType{d.Type}
	case *binary.Variant:
		of := make([]*binary.ValType, len(d.Cases))
		for i, c := range d.Cases {
			t.Labels, of[i] = append(t.Labels, c.Label), c.Type
		}
		err = optional(types.Variant, of...)
	case *binary.Flags:
		t.Kind, t.Labels = types.Flags, d.Labels
	case *binary.Enum:
		t.Kind, t.Labels = types.Enum, d.Labels
	case *binary.Option:
		err = optional(types.Option, nil, &d.Type)
	case *binary.Result:
		err = optional(types.Result, d.OK, d.Err)
	case *binary.Stream:
		err = optional(types.Stream, d.Type)
	case *binary.Future:
		err = optional(types.Future, d.Type)
	case *binary.Own:
		t.Kind = types.Own
		t.Resource, err = f.resource(d.Type)
	case *binary.Borrow:
		t.Kind = types.Borrow
		t.Resource, err = f.resource(d.Type)
	case *binary.Map:
		var pair []*types.Type
		pair, err = f.values([]binary.ValType{d.Key, d.Value})
		t.Kind, t.Elems = types.Map, []*types.Type{types.New(types.Type{Kind: types.Tuple, Elems: pair})}
	default:
		err = errWrong
	}
	if err == nil && refs != nil {
		t.Elems, err = f.values(refs)
	}
	if err == nil {
		err = f.spend(len(t.Elems) + len(t.Labels))
	}
	if err != nil {
		return nil, err
	}
	return types.New(t), nil
}

// resource returns the resource type with an index.
func (f *frame) resource(index uint32) (*types.Resource, error) {
	t, err := element(f.types, index)
	if err != nil {
		return nil, err
	}
	if r, ok := t.(*types.Resource); ok {
		return r, nil
	}
	return nil, errWrong
}

// valueAt returns the type of a value with an index.
func (f *frame) valueAt(index uint32) (*types.Type, error) {
	return f.value(&binary.ValType{Index: index})
}
