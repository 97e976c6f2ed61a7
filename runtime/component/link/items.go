package link

import (
	"errors"
	"fmt"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/binary"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/types"
)

// Validation made sure of all of these.
var (
	errNoStore  = errors.New("the component instance has no core modules")
	errNoItem   = errors.New("a definition refers to an item that is not there")
	errWrong    = errors.New("a definition refers to an item of another sort")
	errNoExport = errors.New("an instance has no export of that name")
)

// element returns an element of an index space.
func element[T any](space []T, index uint32) (T, error) {
	if uint64(index) >= uint64(len(space)) {
		var none T
		return none, errNoItem
	}
	return space[index], nil
}

// item returns what a reference refers to.
func (f *frame) item(r binary.Ref) (any, error) {
	switch r.Sort {
	case binary.SortFunc:
		return element(f.funcs, r.Index)
	case binary.SortType:
		return element(f.types, r.Index)
	case binary.SortInstance:
		return element(f.insts, r.Index)
	case binary.SortComponent:
		return element(f.comps, r.Index)
	case binary.SortCoreModule:
		return element(f.modules, r.Index)
	}
	return nil, errWrong
}

// add puts an item at the end of the index space of its sort.
func (f *frame) add(item any) error {
	switch item := item.(type) {
	case *Func:
		f.funcs = append(f.funcs, item)
	case *Instance:
		f.insts = append(f.insts, item)
	case *component:
		f.comps = append(f.comps, item)
	case *module:
		f.modules = append(f.modules, item)
	case *types.Type, *types.Func, *types.Resource, *scoped:
		f.types = append(f.types, item)
	default:
		return errWrong
	}
	return nil
}

func (f *frame) defineInstance(d *binary.Instantiate) error {
	if err := f.spend(len(d.Args)); err != nil {
		return err
	}
	args := make(map[string]any, len(d.Args))
	for _, a := range d.Args {
		item, err := f.item(a.Ref)
		if err != nil {
			return err
		}
		args[a.Name] = item
	}
	c, err := element(f.comps, d.Component)
	if err != nil {
		return err
	}
	if c == nil {
		return errWrong
	}
	name := f.names.Of(binary.Ref{Sort: binary.SortInstance, Index: uint32(len(f.insts))})
	i, err := f.instantiate(c, name, args, f.instance)
	f.insts = append(f.insts, i)
	return err
}

func (f *frame) bundle(d *binary.Bundle) error {
	if err := f.spend(len(d.Exports)); err != nil {
		return err
	}
	i := newInstance()
	for _, x := range d.Exports {
		item, err := f.item(x.Ref)
		if err != nil {
			return err
		}
		i.add(x.Name.Name, item)
	}
	f.insts = append(f.insts, i)
	return nil
}

func (f *frame) aliasExport(d *binary.AliasExport) error {
	i, err := element(f.insts, d.Instance)
	if err != nil {
		return err
	}
	item, ok := i.items[d.Name]
	if !ok {
		return errNoExport
	}
	return f.add(item)
}

func (f *frame) aliasOuter(d *binary.AliasOuter) error {
	if d.Sort == binary.SortCoreType {
		return nil
	}
	from := f
	for range d.Count {
		if from = from.outer; from == nil {
			return errNoItem
		}
	}
	item, err := from.item(binary.Ref{Sort: d.Sort, Index: d.Index})
	if err != nil {
		return err
	}
	return f.add(item)
}

func (f *frame) importItem(d *binary.Import) error {
	if f.args == nil {
		item, err := f.hostItem(d.Name.Name, d.Type)
		if err != nil {
			return fmt.Errorf("import %q: %w", short(d.Name.Name), err)
		}
		return f.add(item)
	}
	item, ok := f.args[d.Name.Name]
	if !ok {
		return errNoExport
	}
	return f.add(item)
}

// maxName bounds what an error quotes of a component's names.
const maxName = 100

func short(name string) string {
	if len(name) > maxName {
		return name[:maxName] + "…"
	}
	return name
}
