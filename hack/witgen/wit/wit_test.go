package wit

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// load reads files whose names and texts alternate.
func load(files ...string) ([]*Package, error) {
	tree := fstest.MapFS{}
	for i := 0; i < len(files); i += 2 {
		tree[files[i]] = &fstest.MapFile{Data: []byte(files[i+1])}
	}
	return Load(tree, Options{Features: []string{"on"}})
}

// summary writes what packages have, one item a line.
func summary(all []*Package) string {
	var b strings.Builder
	for _, p := range all {
		for _, i := range p.Interfaces {
			fmt.Fprintf(&b, "%s imported=%v exported=%v\n", i.FullName(), i.Imported, i.Exported)
			for _, d := range i.Types {
				fmt.Fprintf(&b, "  %s %d", d.Name, d.Kind)
				if d.Type != nil {
					fmt.Fprintf(&b, " %s", text(d.Type))
				}
				b.WriteString(fields(d.Fields) + "\n")
				for _, f := range d.Funcs {
					fmt.Fprintf(&b, "  %s\n", function(f))
				}
			}
			for _, f := range i.Funcs {
				fmt.Fprintf(&b, "  %s\n", function(f))
			}
		}
	}
	return b.String()
}

func function(f *Func) string {
	s := f.FullName() + fields(f.Params)
	if f.Async {
		s += " async"
	}
	if f.Result != nil {
		s += " -> " + text(f.Result)
	}
	return s
}

func fields(all []Field) string {
	var s []string
	for _, f := range all {
		if f.Type == nil {
			s = append(s, f.Name)
		} else {
			s = append(s, f.Name+" "+text(f.Type))
		}
	}
	return "(" + strings.Join(s, ", ") + ")"
}

func text(t *Type) string {
	if t == nil {
		return "_"
	}
	s := string(t.Kind)
	if t.Def != nil {
		s += " " + t.Def.Interface.Name + "." + t.Def.Name
	}
	if len(t.Args) > 0 {
		var args []string
		for _, a := range t.Args {
			args = append(args, text(a))
		}
		s += "<" + strings.Join(args, ", ") + ">"
	}
	if t.Length > 0 {
		s += fmt.Sprint(t.Length)
	}
	return s
}

func TestLoad(t *testing.T) {
	for _, c := range []struct {
		name  string
		files []string
		want  string
	}{
		{
			"types",
			[]string{"a.wit", `package a:b@1.0.0;
/* a comment /* within */ a comment */
interface i {
  type n = list<u8, 4>; // a comment
  record r { a: option<n>, %type: tuple<string, char>, }
  variant v { x, y(result<_, r>), z(result<r>), w(result), u(result<r, v2>) }
  enum v2 { HTTP-error, other }
  flags fl { a, b2 }
  m: func(x: map<string, list<v>>, c: error-context,) -> bool;
  s: async func(a: stream, b: stream<u8>, c: future, d: future<fl>);
}`},
			`a:b/i@1.0.0 imported=false exported=false
  n 0 fixed list<u8>4()
  r 1(a option<name i.n>, type tuple<string, char>)
  v 2(x, y result<_, name i.r>, z result<name i.r, _>, w result<_, _>, u result<name i.r, name i.v2>)
  v2 3(HTTP-error, other)
  fl 4(a, b2)
  m(x map<string, list<name i.v>>, c error-context) -> bool
  s(a stream<_>, b stream<u8>, c future<_>, d future<name i.fl>) async
`,
		},
		{
			"resources",
			[]string{"a.wit", `package a:b;
interface i {
  resource empty;
  resource r {
    constructor(a: u8);
    get: func() -> own<r>;
    %new: static async func(x: borrow<r>, y: alias) -> result<r>;
    wait: async func();
  }
  resource t { constructor() -> result<t, string>; }
  type alias = r;
}`},
			`a:b/i imported=false exported=false
  empty 5()
  r 5()
  [constructor]r(a u8) -> own i.r
  [method]r.get(self borrow i.r) -> own i.r
  [static]r.new(x borrow i.r, y own i.alias) async -> result<own i.r, _>
  [method]r.wait(self borrow i.r) async
  t 5()
  [constructor]t() -> result<own i.t, string>
  alias 0 own i.r()
`,
		},
		{
			"uses and worlds over files, folders and nested packages",
			[]string{
				"p/a.wit", `package a:b@0.2.1; interface one { use two.{t as u}; f: func() -> u; } interface alone { }`,
				"p/b.wit", `use c:d/three@1.0.0 as other; interface two { use other.{t}; } world w { include x; export one; }`,
				"q/c.wit", `package c:d@1.0.0; interface three { type t = u8; }
world y { import three; export z: interface { } import g: func(); type k = u8; use three.{t}; }`,
				"p/d.wit", `world x { import two; include c:d/y@1.0.0 with { g as h } import n:n/four; }
package n:n { interface four { } }`,
			},
			`a:b/one@0.2.1 imported=false exported=true
  f() -> name three.t
a:b/alone@0.2.1 imported=false exported=false
a:b/two@0.2.1 imported=true exported=false
c:d/three@1.0.0 imported=true exported=false
  t 0 u8()
n:n/four imported=true exported=false
`,
		},
		{
			"gates",
			[]string{"a.wit", `package a:b@0.2.5;
@since(version = 0.2.5) interface i {
  @since(version = 0.2.5) @deprecated(version = 0.2.5) a: func();
  @since(version = 0.2.6) b: func();
  @since(version = 0.2.5-rc1) c: func();
  @unstable(feature = on) d: func();
  @unstable(feature = off) e: func(x: not-there);
  @unstable(feature = off) use not-there.{x};
  @unstable(feature = off) record x { }
  resource r { @unstable(feature = off) f: func(); @since(version = 0.1.0) g: func(); }
}
@unstable(feature = off) interface j { }
@unstable(feature = off) world w { import not-there; }
world v { @unstable(feature = off) import not-there; @unstable(feature = on) import i; }`},
			`a:b/i@0.2.5 imported=true exported=false
  r 5()
  [method]r.g(self borrow i.r)
  a()
  c()
  d()
`,
		},
	} {
		all, err := load(c.files...)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if got := summary(all); got != c.want {
			t.Errorf("%s:\n%swant\n%s", c.name, got, c.want)
		}
	}
}

func TestMeaning(t *testing.T) {
	all, err := load("a.wit", `package a:b; interface i { resource r; type a1 = r; type a2 = a1; type n = list<a2>; type n2 = n;
f: func(x: borrow<a2>, y: a2, z: n2, e: e2); enum e { x } type e2 = e; }`)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range all[0].Interfaces[0].Funcs[0].Params {
		got = append(got, text(p.Type.Meaning()))
	}
	if want := []string{"borrow i.r", "own i.r", "list<own i.a2>", "name i.e"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestErrors(t *testing.T) {
	in := func(body string) string { return "package a:b;\ninterface i {\n" + body + "\n}" }
	for _, c := range []struct{ text, want string }{
		{"package a;", `a.wit:1:10: ";" is where ":" has to be`},
		{"package a:b@1.2;", `a.wit:1:13: "1.2" is no version`},
		{"interface i { }", "no file in . names the package"},
		{"interface i { } package a:b;", "a.wit:1:17: the package is named after the first item"},
		{in("f: func(x: u8) -> ;"), `a.wit:3:19: ";" is where a name has to be`},
		{in("f: func(\n  list: u8);"), `a.wit:4:3: "list" is a keyword: as a name it is written %list`},
		{in("f: func(x: foo);"), "a.wit:3:12: there is no type foo"},
		{in("f: func(x: u8, x: u8);"), "a.wit:3:16: x is defined twice"},
		{in("f: func(); f: func();"), "a.wit:3:12: f is defined twice"},
		{in("type t = u8; record t { a: u8 }"), "a.wit:3:21: t is defined twice"},
		{in("record r { }"), "a.wit:3:8: r is empty"},
		{in("flags f { " + strings.Join(numbered("n", 33), ", ") + " }"), "a.wit:3:7: f has more than 32 flags"},
		{in("type t = t;"), "a.wit:3:6: t contains itself"},
		{in("record a { x: option<b> } variant b { y(list<a>) }"), "a.wit:3:8: a contains itself"},
		{in("type t = own<u>; enum u { x }"), "a.wit:3:10: u is no resource, and handles are of resources"},
		{in("resource r { constructor() -> u8; }"), "a.wit:3:14: a constructor of r returns r, or a result of it"},
		{in("resource r { f: func(); f: static func(); }"), "a.wit:3:25: f is defined twice"},
		{in("f: func(m: map<f32, u8>);"), "a.wit:3:16: the key of a map is a whole number, a bool, a char or a string"},
		{in("f: func(m: list<u8, 0>);"), "a.wit:3:21: \"0\" is where the length of a list has to be"},
		{in("f: func(m: list<u8, 99999999999>);"), "a.wit:3:21: \"99999999999\" is where the length of a list has to be"},
		{in("f: func(t: tuple<>);"), "a.wit:3:12: a tuple has at least one type"},
		{in("use j.{t};"), "a.wit:3:5: there is no interface or world j in a:b"},
		{in("use c:d/j.{t};"), "a.wit:3:9: there is no package c:d"},
		{in("use i2.{t}; } interface i2 { "), "a.wit:3:9: a:b/i2 has no type t"},
		{in("use i2.{t}; } interface i2 { use i.{t};"), "the uses of t lead in a circle"},
		{in("} world w { import w; "), "a.wit:3:20: w is a world, and is no interface"},
		{in("} world w { include i; "), "a.wit:3:21: i is an interface, and a world includes worlds"},
		{in("} world w { use w.{t}; } interface j { use w.{t}; "), "a.wit:3:44: w is a world, and types are used of interfaces"},
		{in("@since(version = 1.0.0) f: func();"), "a.wit:3:1: an item is gated, and the package has no version"},
		{in("@since(version = 1.0.0) @unstable(feature = x) f: func();"), "a.wit:3:1: an item has @since or @unstable, and not both"},
		{in("@other(x = y) f: func();"), "a.wit:3:2: @other is not known"},
		{in("f: func() # g"), "a.wit:3:11: '#' has no meaning here"},
		{in("foo--bar: func();"), `a.wit:3:1: "foo--bar" is no name: a word of it is empty`},
		{in("fooBar: func();"), `a.wit:3:1: "fooBar" is no name: a word of it has letters of both cases`},
		{in("/* /* */"), "a.wit:3:1: the comment does not end"},
		{in("f: func()"), `a.wit:4:1: "}" is where ";" has to be`},
		{"package a:b;\ninterface i {", "a.wit:2:14: the end of the file is where a name has to be"},
		{in("type t = " + strings.Repeat("list<", 100)), "types are nested more than 64 levels deep"},
		{"package a:b; package c:d { } package c:d { }", "a.wit:1:39: the package c:d is there twice"},
		{"package a:b;" + strings.Repeat(" ", maxFile), "a.wit has more than 4194304 bytes"},
	} {
		if _, err := load("a.wit", c.text); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.80q: the error is %v, want %q", c.text, err, c.want)
		}
	}
	if _, err := load("a.wit", "package a:b;", "b.wit", "package a:c;"); err == nil || !strings.Contains(err.Error(), "another file of the folder names a:b") {
		t.Errorf("two packages in a folder: %v", err)
	}
	var many []string
	for _, name := range numbered("f", maxFiles+1) {
		many = append(many, name+".wit", "")
	}
	if _, err := load(many...); err == nil || !strings.Contains(err.Error(), "more than 1000 files") {
		t.Errorf("many files: %v", err)
	}
}

func numbered(name string, n int) (all []string) {
	for i := range n {
		all = append(all, fmt.Sprintf("%s%d", name, i))
	}
	return all
}

func TestVersions(t *testing.T) {
	order := []string{"0.2.0-rc1", "0.2.0-rc2", "0.2.0", "0.2.9", "0.2.10", "0.10.0", "1.0.0+x"}
	for i, a := range order {
		for j, b := range order {
			v, errV := parseVersion(a)
			w, errW := parseVersion(b)
			if errV != nil || errW != nil || v.after(w) != (i > j) {
				t.Errorf("%s after %s: %v, %v, %v", a, b, v.after(w), errV, errW)
			}
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("package a:b@1.0.0;\ninterface i { use j.{t}; type x = list<t>; resource r { constructor(); f: async func() -> x; } }\ninterface j { type t = u8; }")
	f.Add("world w { import a; export b: interface { } include c with { d as e }; }")
	f.Add("package a:b { interface i { @since(version = 1.0.0) f: func(); } }")
	f.Fuzz(func(_ *testing.T, text string) {
		_, _ = load("a.wit", text)
	})
}
