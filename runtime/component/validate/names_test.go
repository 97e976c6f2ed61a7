package validate

import (
	"testing"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/binary"
)

func TestNames(t *testing.T) {
	for _, name := range []string{
		"a", "A", "a1", "a-1", "a-b-c", "B-1-C-2", "a11-B11-123-ABC-abc", "[constructor]a", "[constructor]A-b",
		"[method]a.b", "[static]a-b.C-d", "a:b/c", "a-b:c-d/e-F", "a:b/c@1.2.3", "a:b/c@0.0.0-abcd.1.2+efg.4.ee.05",
		"a:b/c@1", "a:b/c@0.2", "a:b/c@0.0.3", "a:b/c@0.0.0",
	} {
		if _, why := parseName(name); why != "" {
			t.Errorf("%q: %s", name, why)
		}
	}
	for _, name := range []string{
		"", "1", "1-a", "a-", "a--b", "-a", "aB", "a_b", "é", "a b", "[constructor]", "[constructor]a.b", "[method]a", "[method]a.",
		"[method].a", "[method]a.b.c", "[static]a", "[other]a", "[async]a", "a:", "a:/", ":/", "a:b", "a/b", "a:b/", "A:b/c", "a:B/c",
		"1:b/c", "a:1/c", "a:b/cD", "a:b:c/d", "a:b/c/d", "a:b/c@", "a:b/c@.", "a:b/c@1.", "a:b/c@1.2", "a:b/c@01.2.3", "a:b/c@1.2.3-",
		"a:b/c@1.2.3+", "a:b/c@1.2.3-01", "a:b/c@1.2.3-a..b", "a:b/c@1.2.3@4", "a:b/c@0", "a:b/c@0.0", "a:b/c@00", "a:b/c@1.2.3-é",
		"a:b/c@9999999999999999999.0.0", "unlocked-dep=<a:b>", "url=<https://a>", "integrity=<sha256-a>",
	} {
		if _, why := parseName(name); why == "" {
			t.Errorf("%q is taken for a name", name)
		}
	}
}

func TestNamesThatMayNotBeTogether(t *testing.T) {
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"foo", "foo", true}, {"foo", "FOO", true}, {"foo-bar", "foo-BAR", true}, {"[constructor]foo", "[constructor]FOO", true},
		{"[method]foo.bar", "[method]foo.BAR", true}, {"[method]foo.bar", "[static]foo.bar", true}, {"foo", "[method]foo.foo", true},
		{"foo-bar", "[static]foo-BAR.FOO-bar", true}, {"foo:bar/baz", "foo:bar/BAZ", true},
		{"foo", "[constructor]foo", false}, {"foo", "[method]foo.bar", false}, {"bar", "[method]foo.bar", false},
		{"a:b/c", "a:b/c@1.0.0", false}, {"a:b/c@1.0.0", "a:b/c@2.0.0", false},
	} {
		a, _ := parseName(c.a)
		b, _ := parseName(c.b)
		if same := a.key == b.key; same != c.same {
			t.Errorf("%q and %q are the same: %v, want %v", c.a, c.b, same, c.same)
		}
	}
}

func TestNamesOfExterns(t *testing.T) {
	checkRules(t, []rule{
		{wat: `(component (import "a" (func)) (import "b" (func)))`},
		{wat: `(component (import "a" (func)) (import "A" (func)))`, why: `"A" conflicts with the earlier name "a"`},
		{wat: `(component (import "a" (func $f)) (export "a" (func $f)))`},
		{wat: `(component (import "a" (func $f)) (export "b" (func $f)) (export "B" (func $f)))`, why: "conflicts"},
		{wat: `(component (type (component (import "a" (func)) (export "a" (func)))))`},
		{wat: `(component (type (component (import "a" (func)) (import "a" (func)))))`, why: "conflicts"},
		{wat: `(component (type (instance (export "a" (func)) (export "a" (func)))))`, why: "conflicts"},
		{wat: `(component (import "f" (func $f)) (instance (export "a" (func $f)) (export "A" (func $f))))`, why: "conflicts"},
		{wat: `(component (import "f" (func $f)) (instance (export "aB" (func $f))))`, why: "kebab"},
		{wat: `(component (import "a" (instance)))`, edit: attribute(binary.ExternName{Implements: "a:b/c@1.0.0"})},
		{wat: `(component (import "a" (func)))`, edit: attribute(binary.ExternName{Implements: "a:b/c"}), why: "only instances"},
		{wat: `(component (import "a:b/c" (instance)))`, edit: attribute(binary.ExternName{Implements: "a:b/c"}), why: "cannot have the attribute"},
		{wat: `(component (import "a" (instance)))`, edit: attribute(binary.ExternName{Implements: "b"}), why: "must be an interface"},
		{wat: `(component (import "a" (instance)))`, edit: attribute(binary.ExternName{Implements: "B:"}), why: "it has no /"},
		{wat: `(component (import "a" (func)))`, edit: attribute(binary.ExternName{ExternalID: "☃"})},
		{wat: `(component (import "a" (func)))`, edit: attribute(binary.ExternName{Repeated: "external-id"}), why: "more than one attribute"},
		{wat: `(component (import "a:b/c@0.2" (func)))`, edit: attribute(binary.ExternName{VersionSuffix: ".6-rc.1"})},
		{wat: `(component (import "a:b/c@0.2.1" (func)))`, edit: attribute(binary.ExternName{VersionSuffix: "-rc"}), why: "does not become a version"},
		{wat: `(component (import "a:b/c@0.2" (func)))`, edit: attribute(binary.ExternName{VersionSuffix: ".6."}), why: "does not become a version"},
		{wat: `(component (import "a:b/c" (func)))`, edit: attribute(binary.ExternName{VersionSuffix: "1.2.3"}), why: "does not become a version"},
		{wat: `(component (import "a" (func)))`, edit: attribute(binary.ExternName{VersionSuffix: "1.2.3"}), why: "does not become a version"},
	})
}

func TestFunctionsOfResources(t *testing.T) {
	checkRules(t, []rule{
		{wat: `(component (import "a" (type $a (sub resource))) (import "[constructor]a" (func (result (own $a)))))`},
		{wat: `(component (import "a" (type $a (sub resource))) (import "[constructor]a" (func (result (result (own $a) (error string))))))`},
		{wat: `(component (import "a" (type $a (sub resource))) (import "[constructor]a" (func)))`, why: "a constructor returns"},
		{wat: `(component (import "a" (type $a (sub resource))) (import "[constructor]a" (func (result (result)))))`, why: "a constructor returns"},
		{wat: `(component (import "a" (type $a (sub resource))) (import "[constructor]a" (func (result (option (own $a))))))`, why: "a constructor returns"},
		{wat: `(component (import "b" (type $a (sub resource))) (import "[constructor]a" (func (result (own $a)))))`, why: "has another name"},
		{wat: `(component (import "a" (type $a (sub resource))) (import "[constructor]A" (func (result (own $a)))))`, why: "has another name"},
		{wat: `(component (import "a" (type $a (sub resource))) (import "[constructor]a" (instance)))`, why: "it is not a function"},
		{wat: `(component (import "a" (type $a (sub resource))) (import "[method]a.b" (func (param "self" (borrow $a)))))`},
		{wat: `(component (import "a" (type $a (sub resource))) (import "[method]a.b" (func (param "me" (borrow $a)))))`, why: `"self"`},
		{wat: `(component (import "a" (type $a (sub resource))) (import "[method]a.b" (func (param "self" (own $a)))))`, why: "borrow handle"},
		{wat: `(component (import "a" (type $a (sub resource))) (import "[method]c.b" (func (param "self" (borrow $a)))))`, why: "another name"},
		{wat: `(component (import "a" (type (sub resource))) (import "[static]a.b" (func)))`},
		{wat: `(component (import "[static]a.b" (func)))`, why: "there is no resource type"},
		{wat: `(component (import "a" (type (sub resource))) (import "f" (func $f)) (export "[static]a.b" (func $f)))`, why: "there is no resource type"},
		{wat: `(component (import "i" (instance $i (export "a" (type (sub resource))))) (alias export $i "a" (type $a))
			(import "[method]a.b" (func (param "self" (borrow $a)))))`, why: "has no name here"},
		{wat: `(component (import "a" (type $a (sub resource))) (import "f" (func $f (param "self" (borrow $a))))
			(export $b "b" (type $a)) (export "[method]b.x" (func $f) (func (param "self" (borrow $b)))))`},
		{wat: `(component (import "a" (type $a (sub resource))) (import "f" (func $f (param "self" (borrow $a))))
			(export "b" (type $a)) (export "[method]b.x" (func $f)))`, why: "has no name here"},
		{wat: `(component (import "a" (type $a (sub resource))) (import "f" (func $f (param "self" (borrow $a))))
			(instance (export "a" (type $a)) (export "[method]a.x" (func $f))))`, why: "has no name here"},
	})
}
