package p3

import (
	"context"
	"time"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/typed"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/p3/bindings"
)

// monotonic has the functions of wasi:clocks/monotonic-clock. The clock starts with the guest.
type monotonic struct{ host *Host }

// Now implements bindings.MonotonicClockHost.
func (m monotonic) Now(context.Context) (bindings.Mark, error) {
	return uint64(m.host.guest.Monotonic()), nil
}

// GetResolution implements bindings.MonotonicClockHost.
func (monotonic) GetResolution(context.Context) (bindings.Duration, error) { return 1, nil }

// WaitUntil implements bindings.MonotonicClockHost.
func (m monotonic) WaitUntil(ctx context.Context, async typed.Async[typed.None], when bindings.Mark) error {
	now := uint64(m.host.guest.Monotonic())
	return m.WaitFor(ctx, async, when-min(now, when))
}

// WaitFor implements bindings.MonotonicClockHost.
func (m monotonic) WaitFor(_ context.Context, async typed.Async[typed.None], d bindings.Duration) error {
	if d == 0 {
		return nil
	}
	var (
		t    *timer
		done func(typed.None, error)
	)
	done = async.Later(func() {
		if t.stop() {
			done(typed.None{}, typed.ErrCancelled)
		}
	})
	t = m.host.timers.after(time.Duration(min(d, uint64(longest))), func() { done(typed.None{}, nil) })
	return typed.ErrLater
}

// systemClock has the functions of wasi:clocks/system-clock.
type systemClock struct{}

// Now implements bindings.SystemClockHost.
func (systemClock) Now(context.Context) (bindings.Instant, error) {
	now := time.Now()
	return bindings.Instant{Seconds: now.Unix(), Nanoseconds: uint32(now.Nanosecond())}, nil
}

// GetResolution implements bindings.SystemClockHost.
func (systemClock) GetResolution(context.Context) (bindings.Duration, error) { return 1, nil }

// timezone has the functions of wasi:clocks/timezone: containers have UTC. A variable TZ is for the
// guest's own library, and the host does not read it.
type timezone struct{}

const utc = "UTC"

// IANAID implements bindings.TimezoneHost.
func (timezone) IANAID(context.Context) (typed.Option[string], error) { return typed.Some(utc), nil }

// UTCOffset implements bindings.TimezoneHost.
func (timezone) UTCOffset(context.Context, bindings.Instant) (typed.Option[int64], error) {
	return typed.Some(int64(0)), nil
}

// ToDebugString implements bindings.TimezoneHost.
func (timezone) ToDebugString(context.Context) (string, error) { return utc, nil }
