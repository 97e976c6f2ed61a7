package visible

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestName(t *testing.T) {
	for _, c := range []struct{ name, want string }{
		{"", ""},
		{"core::fmt::write", "core::fmt::write"},
		{"größe", "größe"},
		{"a\x1b[31m\n", `a\u{1b}[31m\u{a}`},
		{"a\xffb", "a\ufffdb"},
		{strings.Repeat("x", MaxName), strings.Repeat("x", MaxName)},
		{strings.Repeat("x", MaxName+1), strings.Repeat("x", MaxName-3) + "…"},
	} {
		if got := Name([]byte(c.name)); got != c.want {
			t.Errorf("%q is shown as %q, want %q", c.name, got, c.want)
		}
	}
}

func FuzzName(f *testing.F) {
	f.Add([]byte("name\x00\xff\u202e"))
	f.Add([]byte(strings.Repeat("ü", MaxName)))
	f.Fuzz(func(t *testing.T, b []byte) {
		got := Name(b)
		if len(got) > MaxName || !utf8.ValidString(got) || strings.ContainsAny(got, "\x00\n\r\x1b") {
			t.Errorf("%q is shown as %q", b, got)
		}
	})
}
