package binary

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
)

func TestNames(t *testing.T) {
	c := decode(t, assemble(t, `(component $app
		(core module $main (func $f)) (core instance $started (instantiate $main))
		(import "run" (func $imported)) (type $t (list u8)) (component $inner))`))
	names := Names(c)
	if names.Component != "app" {
		t.Errorf("the component is called %q", names.Component)
	}
	for item, want := range map[Ref]string{
		{Sort: SortCoreModule}:     "main",
		{Sort: SortCoreInstance}:   "started",
		{Sort: SortFunc}:           "imported",
		{Sort: SortType, Index: 1}: "t",
		{Sort: SortComponent}:      "inner",
		{Sort: SortInstance}:       "",
	} {
		if got := names.Of(item); got != want {
			t.Errorf("%+v is called %q, want %q", item, got, want)
		}
	}
	inner := find[*Component](c)[0]
	if got := Names(inner).Component; got != "inner" {
		t.Errorf("the nested component is called %q", got)
	}
}

func named(parts ...any) []byte { return section(0, name("component-name"), bytesOf(parts...)) }

// TestDamagedNames: what can be read is taken.
func TestDamagedNames(t *testing.T) {
	good := section(namesOfSort, 1, 2, 0, name("zero"), 7, name("seven"))
	of := func(i int) Ref { return Ref{Sort: SortFunc, Index: uint32(i)} }
	for _, c := range []struct {
		name string
		b    []byte
		want map[int]string // of functions
	}{
		{"nothing", nil, nil},
		{"good", named(good), map[int]string{0: "zero", 7: "seven"}},
		{"garbage", named(0xff, 0xfe, 1), nil},
		{"garbage, and a good one", bytesOf(named(0x99), named(good)), map[int]string{0: "zero", 7: "seven"}},
		{"a sort that is not known", named(section(namesOfSort, 9, 1, 0, name("x")), good), map[int]string{0: "zero", 7: "seven"}},
		{"values", named(section(namesOfSort, 2, 1, 0, name("x")), good), map[int]string{0: "zero", 7: "seven"}},
		{"a part that is not known", named(section(5, 1, 2, 3), good), map[int]string{0: "zero", 7: "seven"}},
		{"a part that is too long", named(good, 1, 100, 1), map[int]string{0: "zero", 7: "seven"}},
		{"too few names", named(section(namesOfSort, 1, 3, 1, name("one"), 2)), map[int]string{1: "one"}},
		{"a number of names that lies", named(section(namesOfSort, 1, 0xff, 0xff, 0xff, 0xff, 0x0f, 1, name("one"))), nil},
		{"a cut name", named(section(namesOfSort, 1, 2, 1, name("one"), 2, 100, "two")), map[int]string{1: "one"}},
		{"two names", named(section(namesOfSort, 1, 2, 1, name("one"), 1, name("uno"))), map[int]string{1: "one"}},
		{"no UTF-8", named(section(namesOfSort, 1, 1, 1, name("\xff\x1b"))), map[int]string{1: "\ufffd\\u{1b}"}},
		{"a long name", named(section(namesOfSort, 1, 1, 1, name(strings.Repeat("n", 20_000)))), map[int]string{1: strings.Repeat("n", 125) + "…"}},
	} {
		names := Names(decode(t, component(c.b)))
		for i := range 8 {
			if got := names.Of(of(i)); got != c.want[i] {
				t.Errorf("%s: function %d is called %q, want %q", c.name, i, got, c.want[i])
			}
		}
	}
}

func TestNamesAreBounded(t *testing.T) {
	var b []byte
	for i := range maxNames + 10 {
		b = append(append(b, leb(i)...), name("n")...)
	}
	names := Names(decode(t, component(named(section(namesOfSort, 1, leb(maxNames+10), b)))))
	if len(names.items) != maxNames {
		t.Errorf("%d names, want %d", len(names.items), maxNames)
	}
}

func producersSection(fields ...any) []byte { return section(0, name("producers"), bytesOf(fields...)) }

func TestProducers(t *testing.T) {
	tools := producersSection(2, name("language"), 1, name("Rust"), name(""), name("processed-by"), 2, name("rustc"), name("1.90"),
		name("wit-component"), name("0.240"))
	c := decode(t, component(
		section(0, name("producers"), 0xff),
		section(1, module(producersSection(1, name("language"), 2, name("C"), name("17"), name("cut"), 100))),
		section(4, component(section(1, module(section(1, 0), tools)))),
		producersSection(1, name("processed-by"), 1, name("wit-component"), name("0.240")),
		producersSection(1, name("sdk"), 1, name("a\nb"), name("1")),
	))
	want := []Producer{
		{"processed-by", "wit-component", "0.240"}, {"sdk", `a\u{a}b`, "1"},
		{"language", "C", "17"},
		{"language", "Rust", ""}, {"processed-by", "rustc", "1.90"},
	}
	if got := Producers(c); !reflect.DeepEqual(got, want) {
		t.Errorf("producers are %q, want %q", got, want)
	}
}

func TestProducersAreBounded(t *testing.T) {
	var b []byte
	for i := range 100 {
		b = append(b, producersSection(1, name("sdk"), 2, name(fmt.Sprint("a", i)), name(""), name(fmt.Sprint("b", i)), name(""))...)
	}
	if got := Producers(decode(t, component(b))); len(got) != maxProducers {
		t.Errorf("%d producers, want %d", len(got), maxProducers)
	}
}
