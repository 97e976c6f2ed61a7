package network

import (
	"testing"

	"github.com/krustlet-go/krustlet-wasi/runtime/egress"
	"github.com/krustlet-go/krustlet-wasi/runtime/names"
)

// FuzzCanonical: lists of egress and lookups mean the same by a name. Otherwise a list could allow
// one name, and servers be asked for another. Each may refuse what the other takes: lists have
// names of records that no host may have, and no numbers.
func FuzzCanonical(f *testing.F) {
	for _, name := range []string{
		"Example.COM.", "bücher.example", "xn--bcher-kva.example", "XN--BCHER-KVA.example", "r3---sn.example.com", "a_b.example", "-a.example",
		"ｅxample。com", "example．com", "faß.example", "İ.example", "a.example..", "\u00ad", "a\u200db.example", "0x7f.1", "１２７.0.0.1", "K.example",
		"xn--a", "xn--.example", "a..b", ".", "xn--ls8h.example", "☃.example", "ab--cd.example", "é.example",
	} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		looked, ok := names.Canonical(name)
		listed, err := egress.Canonical(name)
		if ok && err == nil && looked != listed {
			t.Errorf("%q is %q for lookups, and %q for lists", name, looked, listed)
		}
		if !ok {
			return
		}
		if again, err := egress.Canonical(looked); err == nil && again != looked {
			t.Errorf("%q is asked for as %q, which is %q in a list", name, looked, again)
		}
	})
}
