package canon_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/hack/canontest"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/binary"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/canon"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/types"
)

// task is a canon.Task that keeps what runs later.
type task struct{ later []func() }

func (k *task) Later(c *canon.Call, _ func()) (done func(finish func(c *canon.Call))) {
	return func(finish func(c *canon.Call)) {
		k.later = append(k.later, func() { c.Refresh(); finish(c) })
	}
}

// TestResultLater: an asynchronous call has its result in memory, which may have moved when the
// result is there.
func TestResultLater(t *testing.T) {
	fn := types.NewFunc(types.Func{Async: true, Result: text, Params: []types.Param{
		{Label: "a", Type: u64}, {Label: "b", Type: text}, {Label: "c", Type: u64}, {Label: "d", Type: flag},
	}})
	signature := fn.Lowered(true)
	if !signature.ArgsInMemory || !signature.ResultInMemory {
		t.Fatalf("the signature is %+v", signature)
	}
	g := canontest.NewGuest(4096, binary.UTF8)
	const args, out = 512, 1024
	var f canon.Frame
	g.Begin(&f, nil)
	canontest.Lower(f.LowerAt(fn.Args, args), []any{uint64(1), "two", uint64(3), true})
	flat := values(args, out)
	var k task
	c := canon.Call{Task: &k}
	c.Begin(g, g.Mem, flat[:], fn, &signature)
	if !c.Arg(3).Bool() || c.Args().Field(0).U64() != 1 {
		t.Error("the arguments are others")
	}
	answer := c.Arg(1).String() + "!"
	done := c.Task.Later(&c, nil)
	done(func(c *canon.Call) { c.Result().String(answer) })
	// The guest goes on: its memory moves, and the core values are another call's.
	old := g.Mem
	g.Mem = slices.Clone(old)
	clear(old)
	clear(flat[:])
	k.later[0]()
	f.Refresh()
	if got := f.LiftAt(text, out).String(); got != "two!" {
		t.Errorf("got %q", got)
	}
}

// TestRecover: a trap becomes an error that can be looked into; another panic goes on.
func TestRecover(t *testing.T) {
	cause := errors.New("the engine's reason")
	if err := caught(func() { panic(&canon.Trap{Err: cause}) }); !errors.Is(err, cause) {
		t.Errorf("the error is %v", err)
	}
	defer func() {
		if r := recover(); r != "a mistake" {
			t.Errorf("the panic is %v", r)
		}
	}()
	_ = caught(func() { panic("a mistake") })
}

// TestAddressOfTheResult is checked before anything is lowered.
func TestAddressOfTheResult(t *testing.T) {
	g := canontest.NewGuest(4096, binary.UTF8)
	signature := getArgumentsType.Lowered(false)
	for _, out := range []uint64{4090, 4096, 1026} {
		flat := values(out)
		c := canon.Call{Host: program{}}
		err := caught(func() {
			c.Begin(g, g.Mem, flat[:], getArgumentsType, &signature)
			getArgumentsStub(&c)
		})
		if err == nil || len(g.Reallocs) > 0 {
			t.Errorf("a result at %d: the trap is %v", out, err)
		}
	}
}
