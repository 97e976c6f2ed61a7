package preview1

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
)

// TestNoFunctionMakesProcesses: no function that a guest can call starts a process, sends a signal
// or makes a device.
//
// docs/security.md: "there are no functions for them; `proc_raise` answers `ENOTSUP`."
func TestNoFunctionMakesProcesses(t *testing.T) {
	known := []string{"args", "environ", "clock", "random", "sched", "proc", "poll", "fd", "path", "sock"}
	for _, f := range Functions() {
		if f.Module == ExperimentalHTTP { // it reaches what the client of HTTP may reach
			continue
		}
		kind, name, _ := strings.Cut(f.Name, "_")
		if !slices.Contains(known, kind) || kind == "proc" && name != "exit" && name != "raise" {
			t.Errorf("%s is new: what does it reach?", f.Name)
		}
	}
	c := newCaller(t, wasi.Config{})
	for signal := range uint64(32) {
		if err := c.call("proc_raise", signal); !errors.Is(err, ErrnoNotsup) {
			t.Errorf("signal %d: %v", signal, err)
		}
	}
}
