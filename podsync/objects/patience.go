package objects

import (
	"context"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/krustlet-go/krustlet-wasi/runtime/pause"
)

// The API server lets a node read what its pods refer to, and for some milliseconds it may not know
// yet that a new pod is the node's: then it forbids. That is asked again a few times before it is
// believed.
const (
	forbiddenFirst = 20 * time.Millisecond
	forbiddenWaits = 5 // 20, 40 … 320 ms
)

// Patiently calls ask until it is not forbidden, or has been for more than half a second.
func Patiently(ctx context.Context, ask func() error) error {
	backoff := wait.Backoff{Duration: forbiddenFirst, Factor: 2, Steps: forbiddenWaits}
	for {
		err := ask()
		if !apierrors.IsForbidden(err) || backoff.Steps == 0 || pause.For(ctx, backoff.Step()) != nil {
			return err
		}
	}
}
