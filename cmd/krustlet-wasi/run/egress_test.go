package run

import (
	"strings"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/hack/guests"
)

// TestRunEgress: without --egress a guest looks up no name, and its user learns what was refused. A
// wrong list says where it is wrong.
func TestRunEgress(t *testing.T) {
	r := newRunner(t)
	lookup := guests.Component(t, "lookup-0.2")
	const denied = " error 1\n" // access-denied
	for _, list := range [][]string{nil, {"--egress=api.example.com"}, {"--egress=10.0.0.0/8", "--egress=cluster"}} {
		got := r.run(append(list, lookup, "Evil.example.com", "localhost")...)
		if got.code != 0 || !strings.HasPrefix(got.stdout, "Evil.example.com"+denied+"localhost 127.0.0.1") {
			t.Errorf("%q: %+v", list, got)
		}
		if strings.Count(got.stderr, "\n") != 1 || !strings.Contains(got.stderr, `allow it with --egress {"target": "evil.example.com", "times": 1}`) {
			t.Errorf("%q: standard error is %q", list, got.stderr)
		}
	}
	if got := r.run("--quiet", lookup, "evil.example.com"); got.stdout != "evil.example.com"+denied || got.stderr != "" {
		t.Errorf("with --quiet: %+v", got)
	}
	got := r.run("--egress=api.example.com", "--egress=10.0.0.1/8", lookup)
	if want := `krustlet-wasi: flag --egress: entry 2, "10.0.0.1/8": bits are set behind the range's length: write 10.0.0.0/8` + "\n"; got.code != 125 || !strings.HasPrefix(got.stderr, want) {
		t.Errorf("a wrong list: %+v", got)
	}
}
