package typed_test

import (
	"testing"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/canon"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/link"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/typed"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/types"
)

// TestTables finds functions in several tables, by interface, name and type.
func TestTables(t *testing.T) {
	stub := func(*canon.Call) {}
	tables := typed.Tables{
		{
			Types: []typed.Desc{{Kind: types.U32}, {Kind: types.Own, Resource: "a:b/c@0.2#thing"}},
			Functions: []typed.Function{
				{Interface: "a:b/c", Version: "0.2.3", Name: "exported", Result: typed.Missing},
				{Interface: "a:b/c", Version: "0.2.3", Name: "number", Result: 0, Stub: stub},
				{Interface: "a:b/c", Version: "0.2.3", Name: "thing", Result: 1, Stub: stub},
			},
		},
		{Functions: []typed.Function{{Interface: "a:b/c", Version: "0.3.0", Name: "number", Async: true, Result: typed.Missing, Stub: stub}}},
	}
	number := types.NewFunc(types.Func{Result: types.Prim(types.U32)})
	thing := func(owner any, name string) *types.Func {
		r := &types.Resource{Name: name, Owner: owner}
		return types.NewFunc(types.Func{Result: types.New(types.Type{Kind: types.Own, Resource: r})})
	}
	later := types.NewFunc(types.Func{Async: true})
	for _, test := range []struct {
		iface, name string
		t           *types.Func
		want        bool
	}{
		{"a:b/c@0.2.0", "number", number, true},
		{"a:b/c@0.2.9", "number", number, true},
		{"a:b/c@0.3.0", "number", later, true},
		{"a:b/c@0.3.0", "number", number, false},
		{"a:b/c@0.4.0", "number", number, false},
		{"a:b/c@0.2.0", "none", number, false},
		{"a:b/c@0.2.0", "exported", types.NewFunc(types.Func{}), false},
		{"a:b/c@0.2.0", "thing", thing(&link.Definer{Instance: link.None, Interface: "a:b/c@0.2"}, "thing"), true},
		{"a:b/c@0.2.0", "thing", thing(&link.Definer{Instance: link.None, Interface: "a:b/c@0.2"}, "other"), false},
		{"a:b/c@0.2.0", "thing", thing(&link.Definer{Instance: link.None, Interface: "a:b/d@0.2"}, "thing"), false},
		{"a:b/c@0.2.0", "thing", thing(&link.Definer{}, "thing"), false},
	} {
		got, err := tables.Function(test.iface, test.name, test.t)
		if (err == nil) != test.want || test.want && got == nil {
			t.Errorf("%s of %s: %v, want that it is found: %v", test.name, test.iface, err, test.want)
		}
	}
}
