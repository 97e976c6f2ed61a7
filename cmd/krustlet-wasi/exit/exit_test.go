package exit

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// TestReport checks the message about an error, and the exit code.
func TestReport(t *testing.T) {
	one, two := errors.New("one"), errors.New("two\nlines")
	const hint = "Run 'krustlet-wasi --help' to see what can be set.\n"
	for name, test := range map[string]struct {
		err  error
		code int
		want string
	}{
		"nothing":          {nil, OK, ""},
		"an error":         {one, Failure, "krustlet-wasi: one\n"},
		"several lines":    {two, Failure, "krustlet-wasi: two; lines\n"},
		"joined":           {errors.Join(one, errors.Join(two, one)), Failure, "krustlet-wasi: one\nkrustlet-wasi: two; lines\nkrustlet-wasi: one\n"},
		"joined, in words": {fmt.Errorf("first %w, then %w", one, one), Failure, "krustlet-wasi: first one, then one\n"},
		"a mistake":        {BadUsage(one), Usage, "krustlet-wasi: one\n" + hint},
		"mistakes":         {BadUsage(errors.Join(one, one)), Usage, "krustlet-wasi: one\nkrustlet-wasi: one\n" + hint},
		"logged":           {&Error{Code: 7, Err: one, Logged: true}, 7, ""},
	} {
		var out strings.Builder
		if code := Report(test.err, &out); code != test.code || out.String() != test.want {
			t.Errorf("%s: code %d, want %d; %q, want %q", name, code, test.code, out.String(), test.want)
		}
	}
}

func TestPrefixed(t *testing.T) {
	one := errors.New("one")
	got := fmt.Sprint(Prefixed("flag --x", errors.Join(one, one)))
	if got != "[flag --x: one flag --x: one]" || Prefixed("flag --x", nil) != nil {
		t.Errorf("%s", got)
	}
}
