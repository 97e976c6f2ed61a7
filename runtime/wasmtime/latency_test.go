package wasmtime

import (
	"sort"
	"testing"
	"time"

	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// TestStopIsPrompt stops guests that spin and guests that sleep, among others, and looks at the slow ones.
func TestStopIsPrompt(t *testing.T) {
	e := newEngine(t)
	spinning := wat(t, `(module (memory (export "memory") 1) (func (export "_start") (loop $l (br $l))))`)
	tiny := filepathTiny(t)
	for range 100 { // the others
		start(t, e, tiny, runtime.Spec{})
	}
	var took []time.Duration
	for i := range 60 {
		file := spinning
		if i%2 == 1 {
			file = tiny
		}
		r := start(t, e, file, runtime.Spec{})
		began := time.Now()
		r.process.Stop(0)
		<-r.process.Done()
		took = append(took, time.Since(began))
	}
	sort.Slice(took, func(i, j int) bool { return took[i] < took[j] })
	t.Logf("median %v, worst %v", took[len(took)/2], took[len(took)-1])
	if took[len(took)/2] > 100*time.Millisecond {
		t.Errorf("median %v", took[len(took)/2])
	}
}
