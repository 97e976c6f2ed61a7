package objects

import (
	"context"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// The API server lets a node read what its pods refer to, and for some milliseconds it may not know yet that a new pod is the
// node's: then it forbids. That is asked again a few times before it is believed.
const (
	forbiddenFirst = 20 * time.Millisecond
	forbiddenLast  = 320 * time.Millisecond
)

// Patiently calls ask until it is not forbidden, or has been for more than half a second.
func Patiently(ctx context.Context, ask func() error) error {
	for delay := forbiddenFirst; ; delay *= 2 {
		err := ask()
		if !apierrors.IsForbidden(err) || delay > forbiddenLast {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(delay):
		}
	}
}
