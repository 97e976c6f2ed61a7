// Package errorcheck checks the form of a registry's errors.
package errorcheck

import (
	"errors"
	"strings"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/registry/fault"
)

// Is checks the class of an error. It also checks that its text is one line and contains the parts.
func Is(t testing.TB, err, class error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error; want %v", class)
	}
	if class != nil && !errors.Is(err, class) {
		t.Errorf("error %q is not of the class %q", err, class)
	}
	text := err.Error()
	if strings.ContainsAny(text, "\n\r") || len(text) > fault.MaxText+200 {
		t.Errorf("error text is not one short line: %q", text)
	}
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("error %q does not say %q", text, part)
		}
	}
}
