package objects

import (
	"context"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/krustlet-go/krustlet-wasi/runtime/pause"
)

// The API server allows a node to read the objects that its pods name. For some milliseconds it may
// not know yet that a new pod is the node's, and forbids that. So the read is repeated a few times
// before the answer is believed.
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
