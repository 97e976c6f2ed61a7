package message

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestTruncate(t *testing.T) {
	if s := strings.Repeat("x", Max); Truncate(s) != s {
		t.Error("a text of the largest size is changed")
	}
	for shift := range 4 {
		s := Truncate(strings.Repeat("x", shift) + strings.Repeat("ü", Max))
		if len(s) > Max || len(s) < Max-8 || !utf8.ValidString(s) || !strings.HasSuffix(s, "ü …") {
			t.Errorf("%d bytes, which end with %q", len(s), s[len(s)-8:])
		}
	}
}

func TestLines(t *testing.T) {
	const text = "first\n\n  second\tpart\n"
	if got := FirstLine(text); got != "first" {
		t.Errorf("the first line is %q", got)
	}
	if got := OneLine(text); got != "first second part" {
		t.Errorf("one line: %q", got)
	}
}
