package instance_test

import (
	"runtime"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/hack/eventually"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/canon"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/instance"
)

// TestNothingIsLeft makes many instances, ends each where a task of it waits in the guest and
// another one in the loop, and looks whether a goroutine is left.
func TestNothingIsLeft(t *testing.T) {
	const instances = 1000
	before := runtime.NumGoroutine()
	waits := make(chan *instance.Instance, 1)
	stub := func(c *canon.Call) {
		never(c)
		waits <- instance.Of(c)
	}
	programs := []*guest{
		load(t, withBuiltins(blocking, run(joined+waited)), functions{"later": stub}),
		load(t, withBuiltins(callback, run(joined+n("0x22"))), functions{"later": stub}),
		load(t, withBuiltins(callback, run(joined+waited)), functions{"later": stub}),
	}
	for i := range instances {
		x, err := instance.New(programs[i%len(programs)].program, programs[i%len(programs)].engine, nil)
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- x.Call(t.Context(), x.Exports().Func("run"), nil, nil) }()
		<-waits
		x.Close()
		if err := <-ended; err == nil {
			t.Fatal("a call that waits for ever returned")
		}
	}
	eventually.True(t, "all goroutines have ended", func() bool { return runtime.NumGoroutine() <= before+2 })
}
