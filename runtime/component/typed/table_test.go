package typed

import (
	"strings"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/types"
)

var table = Table{
	Types: []Desc{
		{Kind: types.U32},
		{Kind: types.String},
		{Kind: types.Record, Labels: []string{"x", "y"}, Elems: []int32{0, 1}},
		{Kind: types.Option, Elems: []int32{Missing, 2}},
		{Kind: types.Borrow, Resource: "a:b/c@1#file"},
		{Kind: types.Result, Elems: []int32{Missing, 1}},
		{Kind: types.List, Elems: []int32{0}},
		{Kind: types.FixedList, Elems: []int32{0}, Length: 3},
	},
	Functions: []Function{
		{Interface: "a:b/c", Version: "1.2.3", Name: "[method]file.f", Labels: []string{"self", "at"}, Params: []int32{4, 3}, Result: 5},
		{Interface: "a:b/c", Version: "1.2.3", Name: "g", Async: true, Labels: []string{"list", "three"}, Params: []int32{6, 7}, Result: Missing},
		{Interface: "a:b/d", Version: "0.2.12", Name: "f", Result: Missing},
		{Interface: "a:b/e", Version: "0.0.3", Name: "f", Result: Missing},
		{Interface: "a:b/f", Version: "", Name: "f", Result: Missing},
		{Interface: "a:b/g", Version: "0.3.0", Name: "f", Result: Missing},
		{Interface: "a:b/h", Version: "0.2.0-rc.1", Also: []string{"0.2.0-draft", ""}, Name: "f", Result: Missing},
	},
}

func TestFind(t *testing.T) {
	for _, c := range []struct {
		iface, name string
		want        int // index, or -1
	}{
		{"a:b/c@1.2.3", "[method]file.f", 0},
		{"a:b/c@1.0.0", "g", 1},
		{"a:b/c@1.99.0", "g", 1},
		{"a:b/c@1.99.0+build.5", "g", 1},
		{"a:b/c@2.0.0", "g", -1},
		{"a:b/c@1.3.0-rc1", "g", -1},
		{"a:b/c", "g", -1},
		{"a:b/c@1.2.3", "h", -1},
		{"a:b/cc@1.2.3", "g", -1},
		{"a:b/d@0.2.0", "f", 2},
		{"a:b/d@0.2.13", "f", 2},
		{"a:b/d@0.2", "f", 2},
		{"a:b/d@0.3.0", "f", -1},
		{"a:b/d@0.1.12", "f", -1},
		{"a:b/e@0.0.3", "f", 3},
		{"a:b/e@0.0.4", "f", -1},
		{"a:b/f", "f", 4},
		{"a:b/f@1.0.0", "f", -1},
		{"a:b/g@0.3.0-rc-2025-09-16", "f", -1},
		{"a:b/g@0.3.5", "f", 5},
		{"a:b/h@0.2.0-rc.1", "f", 6},
		{"a:b/h@0.2.0-rc.1+build.5", "f", 6},
		{"a:b/h@0.2.0-rc.2", "f", -1},
		{"a:b/h@0.2.0-rc", "f", -1},
		{"a:b/h@0.2.0-draft", "f", 6},
		{"a:b/h@0.2.0", "f", -1},
		{"a:b/h", "f", 6},
		{"a:b/h@", "f", -1},
		{"", "", -1},
	} {
		var want *Function
		if c.want >= 0 {
			want = &table.Functions[c.want]
		}
		if got := table.Find(c.iface, c.name); got != want {
			t.Errorf("%s of %s: %v", c.name, c.iface, got)
		}
	}
}

func TestCheck(t *testing.T) {
	file, other := &types.Resource{Name: "file"}, &types.Resource{Name: "other"}
	known := func(r *types.Resource, name string) bool { return r == file && name == "a:b/c@1#file" }
	u32, text := types.Prim(types.U32), types.Prim(types.String)
	make := func(kind types.Kind, labels string, elems ...*types.Type) *types.Type {
		return types.New(types.Type{Kind: kind, Labels: strings.Fields(labels), Elems: elems})
	}
	self := func(r *types.Resource) *types.Type { return types.New(types.Type{Kind: types.Borrow, Resource: r}) }
	point := func(labels string, y *types.Type) *types.Type {
		return make(types.Option, "", nil, make(types.Record, labels, u32, y))
	}
	failing := make(types.Result, "", nil, text)
	three := types.New(types.Type{Kind: types.FixedList, Elems: []*types.Type{u32}, Length: 3})
	four := types.New(types.Type{Kind: types.FixedList, Elems: []*types.Type{u32}, Length: 4})
	list := make(types.List, "", u32)
	method := func(self, at, result *types.Type) types.Func {
		return types.Func{Params: []types.Param{{Label: "self", Type: self}, {Label: "at", Type: at}}, Result: result}
	}
	for _, c := range []struct {
		name string
		f    types.Func
		want string // in the error
	}{
		{"[method]file.f", method(self(file), point("x y", text), failing), ""},
		{"[method]file.f", method(self(other), point("x y", text), failing), "parameter self: the handle is not of a:b/c@1#file"},
		{"[method]file.f", method(u32, point("x y", text), failing), "parameter self: the types differ"},
		{"[method]file.f", method(self(file), point("x z", text), failing), "parameter at: some: the labels differ"},
		{"[method]file.f", method(self(file), point("x y", u32), failing), "parameter at: some: y: the types differ"},
		{"[method]file.f", method(self(file), point("x y", text), nil), "the result: only one of them has a type"},
		{"[method]file.f", method(self(file), point("x y", text), make(types.Result, "", nil, nil)), "the result: error: only one"},
		{"[method]file.f", method(self(file), point("x y", text), make(types.Result, "", text, text)), "the result: ok: only one"},
		{"[method]file.f", types.Func{Result: failing}, "the host has 2 parameters, and the component 0"},
		{"[method]file.f", types.Func{Async: true}, "the host has it synchronous, and the component async"},
		{"g", types.Func{Async: true, Params: []types.Param{{Label: "list", Type: list}, {Label: "three", Type: three}}}, ""},
		{"g", types.Func{Async: true, Params: []types.Param{{Label: "list", Type: list}, {Label: "three", Type: four}}}, "parameter three: the types differ"},
		{"g", types.Func{Async: true, Params: []types.Param{{Label: "x", Type: list}, {Label: "three", Type: three}}}, `parameter 0 is "list" of the host`},
		{"g", types.Func{Async: true, Params: []types.Param{{Label: "list", Type: make(types.List, "", text)}, {Label: "three", Type: three}}}, "parameter list: element 0: the types differ"},
	} {
		f := table.Find("a:b/c@1.0.0", c.name)
		err := table.Check(f, types.NewFunc(c.f), known)
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", c.name, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: the error is %v, want %q", c.name, err, c.want)
		}
	}
}
