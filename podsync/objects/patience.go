package objects

import (
	"context"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/krustlet-go/krustlet-wasi/runtime/pause"
)

// The API server lets a node read the objects that its pods name. When a pod is new, the API server
// may not know for some milliseconds that the pod is the node's, and forbids the read. So the read
// is repeated a few times.
const (
	forbiddenFirst = 20 * time.Millisecond
	forbiddenWaits = 5 // 20, 40 … 320 ms
)

// Patiently calls ask until the answer is not "forbidden", or has been that for more than half a
// second.
func Patiently(ctx context.Context, ask func() error) error {
	backoff := wait.Backoff{Duration: forbiddenFirst, Factor: 2, Steps: forbiddenWaits}
	for {
		err := ask()
		if !apierrors.IsForbidden(err) || backoff.Steps == 0 || pause.For(ctx, backoff.Step()) != nil {
			return err
		}
	}
}
