// Package pause waits for a duration, or for the end of a context if that comes first.
//
// All other packages may import it. Back-offs come from k8s.io/apimachinery/pkg/util/wait:
// Backoff.Step gives the duration of each pause.
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
