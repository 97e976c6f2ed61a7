package cmdline

import (
	"strings"
	"testing"
)

func TestJoinBooleanStops(t *testing.T) {
	// After a subcommand or "--", the arguments are a guest's.
	for _, args := range []string{"run x.wasm --x-allow-local-modules true", "-- --x-allow-local-modules true"} {
		got := strings.Join(JoinBoolean("x-allow-local-modules", strings.Fields(args), []string{"run"}), " ")
		if got != args {
			t.Errorf("%q became %q", args, got)
		}
	}
}
