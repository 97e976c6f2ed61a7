package p2

import (
	"context"
	"time"

	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/p2/bindings"
)

// monotonic has the functions of wasi:clocks/monotonic-clock. The clock starts with the guest.
type monotonic struct{ host *Host }

// Now implements bindings.MonotonicClockHost.
func (m monotonic) Now(context.Context) (bindings.Instant, error) { return m.host.now(), nil }

// Resolution implements bindings.MonotonicClockHost.
func (monotonic) Resolution(context.Context) (bindings.Duration, error) { return 1, nil }

// SubscribeInstant implements bindings.MonotonicClockHost.
func (m monotonic) SubscribeInstant(_ context.Context, when bindings.Instant) (bindings.Pollable, error) {
	return m.host.pollable(pollable{when: when, timer: true})
}

// SubscribeDuration implements bindings.MonotonicClockHost.
func (m monotonic) SubscribeDuration(_ context.Context, d bindings.Duration) (bindings.Pollable, error) {
	when := m.host.now() + d
	if when < d {
		when = 1<<64 - 1 // in 584 years
	}
	return m.host.pollable(pollable{when: when, timer: true})
}

func (h *Host) now() uint64 { return uint64(h.guest.Monotonic()) }

// wallClock has the functions of wasi:clocks/wall-clock.
type wallClock struct{}

// Now implements bindings.WallClockHost.
func (wallClock) Now(context.Context) (bindings.Datetime, error) {
	now := time.Now()
	return bindings.Datetime{Seconds: uint64(max(now.Unix(), 0)), Nanoseconds: uint32(now.Nanosecond())}, nil
}

// Resolution implements bindings.WallClockHost.
func (wallClock) Resolution(context.Context) (bindings.Datetime, error) {
	return bindings.Datetime{Nanoseconds: 1}, nil
}

// timezone has the functions of wasi:clocks/timezone: containers have UTC. A variable TZ is for the
// guest's own library, and the host does not read it.
type timezone struct{}

// Display implements bindings.TimezoneHost.
func (timezone) Display(context.Context, bindings.Datetime) (bindings.TimezoneDisplay, error) {
	return bindings.TimezoneDisplay{Name: "UTC"}, nil
}

// UTCOffset implements bindings.TimezoneHost.
func (timezone) UTCOffset(context.Context, bindings.Datetime) (int32, error) { return 0, nil }
