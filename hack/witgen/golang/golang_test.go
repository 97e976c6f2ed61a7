package golang

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/krustlet-go/krustlet-wasi/hack/witgen/wit"
)

func generate(text string) (map[string][]byte, error) {
	packages, err := wit.Load(fstest.MapFS{"a.wit": {Data: []byte(text)}}, wit.Options{})
	if err != nil {
		return nil, err
	}
	return Generate(packages, Options{Package: "x", Of: "a test", Method: "X"})
}

// TestNames tells what a package has of Go for what WIT has.
func TestNames(t *testing.T) {
	for _, c := range []struct {
		wit  string
		want []string // exported names of the package, or with a dot of an interface or struct
	}{
		{
			"package a:clocks@0.2.1; interface wall-clock { record date-time { utc-offset: s32, %type: u8 } now: func() -> date-time; }",
			[]string{
				"DateTime", "DateTime.Type", "DateTime.UTCOffset", "Guest", "Guest.X", "Host", "Host.WallClock", "Table", "WallClockHost",
				"WallClockHost.Now",
			},
		},
		{
			`package a:http; interface types { variant error-code { DNS-timeout, HTTP-size(u8) } resource fields { constructor();
from-list: static func(); get: func(); } } interface other { enum error-code { x } }`,
			[]string{
				"Fields", "Fields.Get", "Guest", "Guest.X", "HTTPErrorCode", "HTTPErrorCode.Case", "HTTPErrorCode.HTTPSize", "HTTPErrorCodeCase",
				"HTTPErrorCodeDNSTimeout", "HTTPErrorCodeHTTPSize", "HTTPHost", "HTTPHost.FieldsFromList", "HTTPHost.NewFields", "Host",
				"Host.HTTP", "OtherErrorCode", "OtherErrorCodeX", "Table",
			},
		},
		{
			`package a:b; interface h { f: async func(a: u8) -> u8; } interface i { use h.{}; g: func(); }
world w { export h; import i; }`,
			[]string{"Guest", "Guest.X", "Host", "Host.I", "IHost", "IHost.G", "LiftHFResult", "LowerHFArgs", "Table"},
		},
		{
			`package a:b; interface i { f: func() -> future<list<u8>>; g: func(x: stream<stream<u8>>); }`,
			[]string{
				"ElementListU8", "ElementStreamU8", "ElementU8", "Guest", "Guest.X", "Host", "Host.I", "IHost", "IHost.F", "IHost.G", "Table",
			},
		},
	} {
		files, err := generate(c.wit)
		if err != nil {
			t.Errorf("%s: %v", c.wit, err)
			continue
		}
		if got := exportedNames(t, files); !slices.Equal(got, c.want) {
			t.Errorf("%s:\n%q, want\n%q", c.wit, got, c.want)
		}
	}
}

func exportedNames(t *testing.T, files map[string][]byte) (names []string) {
	for name, text := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, text, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		if !ast.IsGenerated(file) {
			t.Errorf("%s does not say that it is generated", name)
		}
		for line := range strings.Lines(string(text)) {
			if trimmed := strings.TrimSpace(line); strings.HasPrefix(trimmed, "//") && len(trimmed) > width {
				t.Errorf("%s has a comment of %d columns", name, len(trimmed))
			}
		}
		for _, d := range file.Decls {
			names = append(names, declared(d)...)
		}
	}
	slices.Sort(names)
	return names
}

func declared(d ast.Decl) (names []string) {
	add := func(id *ast.Ident, of string) {
		if id.IsExported() {
			names = append(names, of+id.Name)
		}
	}
	if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil {
		add(f.Name, "")
	}
	g, ok := d.(*ast.GenDecl)
	if !ok {
		return names
	}
	for _, s := range g.Specs {
		switch s := s.(type) {
		case *ast.ValueSpec:
			add(s.Names[0], "")
		case *ast.TypeSpec:
			add(s.Name, "")
			var fields *ast.FieldList
			switch of := s.Type.(type) {
			case *ast.StructType:
				fields = of.Fields
			case *ast.InterfaceType:
				fields = of.Methods
			default:
				continue
			}
			for _, f := range fields.List {
				for _, n := range f.Names {
					add(n, s.Name.Name+".")
				}
			}
		}
	}
	return names
}

func TestErrors(t *testing.T) {
	in := func(body string) string { return "package a:b;\ninterface i {\n" + body + "\n}" }
	doubled := "type t0 = tuple<u8, u16>;\n"
	for i := range 40 {
		doubled += fmt.Sprintf("type t%d = tuple<t%d, t%d, u8>;\n", i+1, i, i)
	}
	for _, c := range []struct{ wit, want string }{
		{in("f: func(x: tuple<u8, s8, u8, u8, u8, u8, u8, u8, u8>);"), "a.wit:3:12: a tuple of different types has at most 8 here"},
		{in("f: func(x: list<u8, 70000>);"), "a.wit:3:12: a list of fixed length has at most 65536 elements here"},
		{in("record a-b1 { x: u8 } record a-b-1 { x: u8 }"), "a.wit:3:30: two things would be called IAB1 in Go; the other is at a.wit:3:8"},
		{in("record host { x: u8 }"), "two things would be called Host in Go"},
		{in("record r { a-b1: u8, a-b-1: u8 }"), "a.wit:3:22: two fields would be called AB1 in Go"},
		{in("variant v { case(u8) }"), "two fields would be called Case in Go"},
		{in("resource r { drop: func(); }"), "a.wit:3:14: two methods would be called Drop in Go"},
		{in("a-b1: func(); a-b-1: func();"), "a.wit:3:15: two methods would be called AB1 in Go"},
		{in("resource r; } world w { export i;"), "a.wit:3:10: r is a resource of an interface that guests export"},
		{in(doubled + "f: func() -> t40;"), "the types are too large to be written out"},
		{"package a:bindings; interface i { }", "two files would be called bindings.go"},
	} {
		if _, err := generate(c.wit); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: the error is %v, want %q", c.wit, err, c.want)
		}
	}
}

func TestParameters(t *testing.T) {
	for name, want := range map[string]string{
		"x": "x", "max-len": "maxLen", "ip-address": "ipAddress", "type": "typeArg", "ctx": "ctxArg", "HTTP-size": "httpSize", "range": "rangeArg",
		"local-IP": "localIP",
	} {
		if got := parameter(name); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
}

// TestAlso: functions of several versions say so in the table. A resource has one version.
func TestAlso(t *testing.T) {
	also := func(text string) (map[string][]byte, error) {
		packages, err := wit.Load(fstest.MapFS{"a.wit": {Data: []byte(text)}}, wit.Options{})
		if err != nil {
			t.Fatal(err)
		}
		return Generate(packages, Options{Package: "x", Of: "a test", Method: "X", Also: map[string][]string{"a:b": {"0.1.0-draft", ""}}})
	}
	files, err := also("package a:b@0.1.0; interface i { f: func(); }")
	if want := `Version: "0.1.0", Name: "f", Also: []string{"0.1.0-draft", ""}`; err != nil || !strings.Contains(string(files["table.go"]), want) {
		t.Errorf("%v; the table is\n%s", err, files["table.go"])
	}
	files, err = also("package a:c@0.1.0; interface i { f: func(); }")
	if err != nil || strings.Contains(string(files["table.go"]), "Also") {
		t.Errorf("another package: %v; the table is\n%s", err, files["table.go"])
	}
	if _, err := also("package a:b@0.1.0; interface i { resource r { f: func(); } }"); err == nil || !strings.Contains(err.Error(), "r is a resource") {
		t.Errorf("a resource of several versions: %v", err)
	}
}
