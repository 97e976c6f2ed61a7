package typed

import (
	"errors"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/canon"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/link"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/types"
)

// Tables are what a host gives by several tables. They are an instance.Host.
type Tables []*Table

// Function returns the stub of a function that a component imports. The component's type must be
// the table's.
func (ts Tables) Function(iface, name string, t *types.Func) (canon.Stub, error) {
	for _, table := range ts {
		f := table.Find(iface, name)
		if f == nil || f.Stub == nil {
			continue
		}
		return f.Stub, table.Check(f, t, named)
	}
	return nil, errNoFunction
}

var errNoFunction = errors.New("the host has no such function")

// named reports whether a resource is the one of the host with a name.
func named(r *types.Resource, name string) bool {
	d, ok := r.Owner.(*link.Definer)
	return ok && d.Interface != "" && d.Interface+"#"+r.Name == name
}

// Compare returns an error if a function that a component exports is not of the type that the
// table has for it.
func Compare(table *Table, iface, name string, t *types.Func) error {
	f := table.Find(iface, name)
	if f == nil {
		return errNoFunction
	}
	return table.Check(f, t, named)
}
