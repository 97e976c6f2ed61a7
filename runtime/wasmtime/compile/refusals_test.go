package compile

import (
	"errors"
	"strings"
	"testing"
)

func TestRefusalsAreBounded(t *testing.T) {
	var r Refusals
	name := func(i int) string { return strings.Repeat("x", i) }
	for i := range maxRefusals + 10 {
		r.Note(name(i), &RefusedError{name(i)})
		r.Note(name(i), &RefusedError{"again"})
	}
	r.Note("other", errors.New("not for what it is"))
	if len(r.why) != maxRefusals || len(r.ages) != maxRefusals || r.Find(name(9)) != nil || r.Find(name(10)) == nil || r.Find("other") != nil {
		t.Errorf("%d are remembered", len(r.why))
	}
}
