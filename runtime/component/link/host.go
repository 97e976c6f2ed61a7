package link

import (
	"errors"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/binary"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/types"
)

// ErrNotOfHost says that the component imports what no host gives.
var ErrNotOfHost = errors.New("the host gives functions, types and instances, and nothing else")

// hostItem makes an item of the kind that the component asks the host for.
func (f *frame) hostItem(name string, t binary.ExternType) (any, error) {
	switch t.Sort {
	case binary.SortFunc:
		of, err := f.funcAt(t.Index)
		if err != nil {
			return nil, err
		}
		return f.hostFunc(name, of)
	case binary.SortType:
		if t.Resource {
			return f.hostResource(name), nil
		}
		return element(f.types, t.Index)
	case binary.SortInstance:
		of, err := f.scopedAt(t.Index)
		if err != nil {
			return nil, err
		}
		return f.hostInstance(name, of)
	}
	return nil, ErrNotOfHost
}

func (f *frame) hostFunc(name string, t *types.Func) (any, error) {
	if len(f.out.Imports) == maxImports {
		return nil, tooMany("imported functions", maxImports)
	}
	number := int32(len(f.out.Imports))
	f.out.Imports = append(f.out.Imports, Import{Interface: f.host, Name: name, Type: t})
	return &Func{Type: t, Name: qualified(Compatible(f.host), name), Import: number, Core: None}, nil
}

func qualified(instance, name string) string {
	if instance == "" {
		return name
	}
	return instance + "#" + name
}

// hostResource returns the resource type with a name of the interface. It is the same one for all
// versions of the interface that are compatible.
func (f *frame) hostResource(name string) *types.Resource {
	of := Compatible(f.host)
	key := qualified(of, name)
	r, ok := f.resources[key]
	if !ok {
		r = &types.Resource{Name: name, Owner: &Definer{Instance: None, Destructor: None, Interface: of}}
		f.resources[key] = r
	}
	return r
}

// hostInstance makes an instance of the host: what its type declares.
func (f *frame) hostInstance(name string, t *scoped) (any, error) {
	g := &frame{linker: f.linker, outer: t.scope, host: qualified(f.host, name), instance: None, store: None, exports: newInstance()}
	for _, d := range t.declarations {
		if err := f.spend(1); err != nil {
			return nil, err
		}
		if err := g.declare(d); err != nil {
			return nil, err
		}
	}
	return g.exports, nil
}

func (f *frame) declare(d binary.Declaration) error {
	switch d := d.(type) {
	case *binary.TypeDef:
		t, err := f.typeOf(d.Type)
		f.types = append(f.types, t)
		return f.at(d.At, err)
	case *binary.AliasExport:
		return f.at(d.At, f.aliasExport(d))
	case *binary.AliasOuter:
		return f.at(d.At, f.aliasOuter(d))
	case *binary.ExportDecl:
		item, err := f.hostItem(d.Name.Name, d.Type)
		if err != nil {
			return f.at(d.At, err)
		}
		f.exports.add(d.Name.Name, item)
		return f.at(d.At, f.add(item))
	}
	return nil
}

func (f *frame) funcAt(index uint32) (*types.Func, error) {
	t, err := element(f.types, index)
	if err != nil {
		return nil, err
	}
	if t, ok := t.(*types.Func); ok {
		return t, nil
	}
	return nil, errWrong
}

func (f *frame) scopedAt(index uint32) (*scoped, error) {
	t, err := element(f.types, index)
	if err != nil {
		return nil, err
	}
	if t, ok := t.(*scoped); ok {
		return t, nil
	}
	return nil, errWrong
}
