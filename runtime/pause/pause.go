// Package pause waits for a time, or for the end of a context if that comes first.
//
// It is below every other package, so that each of them can use it. Back-offs are those of
// k8s.io/apimachinery/pkg/util/wait: Backoff.Step says how long each pause is.
package pause

import (
	"context"
	"time"
)

// For blocks for the duration d. It returns early with the cause if ctx ends. A duration of 0 or
// less does not block.
func For(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return context.Cause(ctx)
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
