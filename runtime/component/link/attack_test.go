package link_test

import (
	"runtime"
	"strings"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/hack/componentengine"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/link"
)

// TestLinkingTakesLittle: a small file that evaluates its definitions a thousand times is refused
// before it has taken much of the host's memory.
func TestLinkingTakesLittle(t *testing.T) {
	c, err := componentengine.Assemble(`(component (component $C (component $D) (export "d" (component $D)) ` +
		strings.Repeat(`(type (list u8))`, 3900) + `)` + strings.Repeat(`(instance (instantiate $C))`, 990) + `)`)
	if err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err = link.Link(c)
	runtime.ReadMemStats(&after)
	if err == nil || !strings.Contains(err.Error(), "evaluated definitions") {
		t.Errorf("linking ended with %v, wanted an error of too many evaluated definitions", err)
	}
	if took := (after.TotalAlloc - before.TotalAlloc) >> 20; took > 100 {
		t.Errorf("linking took %d MiB", took)
	}
}
