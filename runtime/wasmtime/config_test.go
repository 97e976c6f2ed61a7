package wasmtime

import (
	"strings"
	"testing"
)

// TestUnsafeEngine: the bundled library is refused on arm64, because guests can escape there.
func TestUnsafeEngine(t *testing.T) {
	for _, tt := range []struct {
		arch      string
		supported bool
		refused   bool
	}{{"arm64", false, true}, {"arm64", true, false}, {"amd64", false, false}, {"amd64", true, false}} {
		err := checkEngine(tt.arch, tt.supported)
		if (err != nil) != tt.refused {
			t.Errorf("%+v: %v", tt, err)
		}
		if err != nil && !strings.Contains(err.Error(), "--x-allow-unsafe-engine") {
			t.Errorf("%v does not name the flag", err)
		}
	}
}
