package typed

import (
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/types"
)

// Check returns an error that says where a component's type of a function is not the table's. It
// asks resource whether a resource of the component's type is the one with a name like that of
// Desc.Resource. Its work is bounded by the table's type.
func (t *Table) Check(f *Function, theirs *types.Func, resource func(r *types.Resource, name string) bool) error {
	c := checker{t, resource}
	if err := c.function(f, theirs); err != nil {
		return fmt.Errorf("checking the type of %s of %s: %w", f.Name, f.Interface, err)
	}
	return nil
}

type checker struct {
	table    *Table
	resource func(r *types.Resource, name string) bool
}

func (c checker) function(f *Function, theirs *types.Func) error {
	if f.Async != theirs.Async {
		return fmt.Errorf("the host has it %s, and the component %s", asyncWord(f.Async), asyncWord(theirs.Async))
	}
	if len(f.Params) != len(theirs.Params) {
		return fmt.Errorf("the host has %d parameters, and the component %d", len(f.Params), len(theirs.Params))
	}
	for i, p := range theirs.Params {
		if p.Label != f.Labels[i] {
			return fmt.Errorf("parameter %d is %q of the host", i, f.Labels[i])
		}
		if err := c.same(f.Params[i], p.Type); err != nil {
			return fmt.Errorf("parameter %s: %w", f.Labels[i], err)
		}
	}
	if err := c.same(f.Result, theirs.Result); err != nil {
		return fmt.Errorf("the result: %w", err)
	}
	return nil
}

func asyncWord(async bool) string {
	if async {
		return "async"
	}
	return "synchronous"
}

var errOther = errors.New("the types differ")

// same returns an error if two types differ, or only one of them is there.
func (c checker) same(index int32, theirs *types.Type) error {
	if index == Missing || theirs == nil {
		if index == Missing && theirs == nil {
			return nil
		}
		return errors.New("only one of them has a type")
	}
	d := &c.table.Types[index]
	switch {
	case d.Kind != theirs.Kind || d.Length != theirs.Length || len(d.Elems) != len(theirs.Elems):
		return errOther
	case !slices.Equal(d.Labels, theirs.Labels):
		return errors.New("the labels differ")
	}
	if d.Kind == types.Own || d.Kind == types.Borrow {
		if !c.resource(theirs.Resource, d.Resource) {
			return fmt.Errorf("the handle is not of %s", d.Resource)
		}
	}
	for i, e := range d.Elems {
		if err := c.same(e, theirs.Elems[i]); err != nil {
			return fmt.Errorf("%s: %w", label(d, i), err)
		}
	}
	return nil
}

// label names an element of a type.
func label(d *Desc, i int) string {
	switch {
	case i < len(d.Labels):
		return d.Labels[i]
	case d.Kind == types.Option:
		return "some"
	case d.Kind == types.Result:
		return [...]string{"ok", "error"}[i]
	}
	return "element " + strconv.Itoa(i)
}
