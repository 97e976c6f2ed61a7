package guests_test

import (
	"bytes"
	"os"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/hack/guests"
)

func TestWrapped(t *testing.T) {
	first := guests.Wrapped(t, "hello")
	component, err := os.ReadFile(first)
	if err != nil {
		t.Fatal(err)
	}
	module, err := os.ReadFile(guests.Build(t, "hello"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.HasPrefix(component, []byte("\x00asm\x0d\x00\x01\x00")) {
		t.Errorf("it begins with % x", component[:8])
	}
	if len(component) < len(module) || guests.Wrapped(t, "hello") != first {
		t.Error("the component is not the module and more, or is another each time")
	}
}
