package preview1

import (
	"context"
	"runtime"
	"time"

	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
)

func argsGet(ctx context.Context, g *Guest, m memory, a arguments) error {
	return g.args.write(ctx, g, m, a.u32(0), a.u32(1))
}

func argsSizesGet(_ context.Context, g *Guest, m memory, a arguments) error {
	return g.args.sizes(m, a.u32(0), a.u32(1))
}

func environGet(ctx context.Context, g *Guest, m memory, a arguments) error {
	return g.env.write(ctx, g, m, a.u32(0), a.u32(1))
}

func environSizesGet(_ context.Context, g *Guest, m memory, a arguments) error {
	return g.env.sizes(m, a.u32(0), a.u32(1))
}

// Clocks of preview 1.
const (
	clockRealtime  = iota // nanoseconds since 1970
	clockMonotonic        // nanoseconds since the guest started
	clockProcessCPU
	clockThreadCPU
)

// now reads a clock, in nanoseconds. A guest has one thread, so its two CPU clocks are the same.
func (g *Guest) now(clock uint32) (uint64, error) {
	switch clock {
	case clockRealtime:
		return uint64(time.Now().UnixNano()), nil
	case clockMonotonic:
		return uint64(g.Monotonic()), nil
	case clockProcessCPU, clockThreadCPU:
		cpu, err := g.CPU()
		return uint64(cpu), err
	}
	return 0, ErrnoInval
}

func clockTimeGet(_ context.Context, g *Guest, m memory, a arguments) error {
	t, err := g.now(a.u32(0))
	if err != nil {
		return err
	}
	return m.putU64(a.u32(2), t)
}

func clockResGet(_ context.Context, _ *Guest, m memory, a arguments) error {
	if a.u32(0) > clockThreadCPU {
		return ErrnoInval
	}
	return m.putU64(a.u32(1), 1)
}

func randomGet(ctx context.Context, g *Guest, m memory, a arguments) error {
	b, err := m.bytes(a.u32(0), a.u32(1))
	if err != nil {
		return err
	}
	return g.Random(ctx, b)
}

func schedYield(context.Context, *Guest, memory, arguments) error {
	runtime.Gosched()
	return nil
}

func procExit(_ context.Context, _ *Guest, _ memory, a arguments) error {
	return &wasi.ExitError{Code: a.u32(0)}
}

// procRaise refuses, because a guest has no signals. It can end itself by proc_exit or a trap.
func procRaise(context.Context, *Guest, memory, arguments) error { return ErrnoNotsup }
