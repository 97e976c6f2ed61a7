package pool

import (
	"context"
	"fmt"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/worker/wire"
	"github.com/krustlet-go/krustlet-wasi/runtime/worker/workerpb"
)

// Resize implements runtime.Guest. If the worker's build does not have this call, the limits do not
// change.
func (g *guest) Resize(ctx context.Context, limits runtime.Limits) error {
	if g.hasEnded() {
		return nil
	}
	pid := g.worker.info.PID
	if err := g.worker.inTouch(ctx); err != nil {
		return fmt.Errorf("asking the worker process %d to resize the container: %w", pid, err)
	}
	ctx, cancel := context.WithTimeout(ctx, callPatience)
	defer cancel()
	resp, err := g.worker.client.Resize(ctx, &workerpb.ResizeRequest{Id: g.id, MemoryLimit: limits.Memory, CpuLimit: limits.CPU})
	switch {
	case err != nil:
		return notResized(pid, err)
	case resp.GetFailure() != nil:
		return wire.FromFailure(resp.GetFailure())
	}
	return nil
}

// notResized is the error if a worker did not answer the call.
func notResized(pid int, err error) error {
	if status.Code(err) == codes.Unimplemented {
		return fmt.Errorf("the worker process %d that hosts the container is of an older build, which cannot resize: restart the container", pid)
	}
	return fmt.Errorf("asking the worker process %d to resize the container: %w", pid, err)
}
