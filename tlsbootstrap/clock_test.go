package tlsbootstrap

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// TestRenewalWhenTheClockIsSet: the wall clock says when a certificate is renewed, even if the
// clock is set while the renewal waits.
func TestRenewalWhenTheClockIsSet(t *testing.T) {
	const month = 30 * 24 * time.Hour
	synctest.Test(t, func(t *testing.T) {
		for name, tt := range map[string]struct{ set, waits time.Duration }{
			"not at all": {0, month},
			"on":         {month, 5*time.Minute + time.Minute}, // set after five minutes; the renewal sees it within one
			"on by more": {2 * month, 5*time.Minute + time.Minute},
			"back":       {-time.Hour, month + time.Hour},
		} {
			began := time.Now()
			clock := func() time.Time {
				now := time.Now()
				if now.Sub(began) >= 5*time.Minute {
					now = now.Add(tt.set)
				}
				return now.Round(0) // without the monotonic clock, which cannot be set
			}
			if err := sleepUntil(t.Context(), clock().Add(month), clock); err != nil {
				t.Fatal(err)
			}
			if waited := time.Since(began); waited > tt.waits || waited < tt.waits-time.Minute {
				t.Errorf("set %s: waited for %v, want %v", name, waited, tt.waits)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if err := sleepUntil(ctx, time.Now().Add(month), time.Now); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("given up: %v", err)
		}
	})
}
