package guests_test

import (
	"bytes"
	"os"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/hack/guests"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/binary"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/link"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/validate"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/world"
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

func TestHandlers(t *testing.T) {
	for name, wasi := range map[string]int{
		"http-hello-0.2": 2, "http-kitchen-0.2": 2, "http-hello-0.3": 3, "http-kitchen-0.3": 3,
		"http-blocks-0.3": 3, "http-grpc-0.2": 2,
	} {
		t.Run(name, func(t *testing.T) {
			file, err := os.ReadFile(guests.Component(t, name))
			if err != nil {
				t.Fatal(err)
			}
			c, err := binary.Decode(file)
			if err != nil {
				t.Fatal(err)
			}
			if err := validate.Validate(c); err != nil {
				t.Errorf("it is not valid: %v", err)
			}
			if got := world.Of(c).Handle.WASI; got != wasi {
				t.Errorf("it is a handler of WASI 0.%d", got)
			}
			if _, err := link.Link(c); err != nil {
				t.Errorf("it cannot be linked: %v", err)
			}
		})
	}
}
