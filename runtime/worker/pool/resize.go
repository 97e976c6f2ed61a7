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

// Resize implements runtime.Process. A worker of a build that does not know of it leaves the limits as they are.
func (p *process) Resize(ctx context.Context, limits runtime.Limits) error {
	select {
	case <-p.done:
		return nil
	default:
	}
	pid := p.worker.info.PID
	if err := p.worker.inTouch(ctx); err != nil {
		return fmt.Errorf("ask the worker process %d to resize the container: %w", pid, err)
	}
	ctx, cancel := context.WithTimeout(ctx, callPatience)
	defer cancel()
	resp, err := p.worker.client.Resize(ctx, &workerpb.ResizeRequest{Id: p.id, MemoryLimit: limits.Memory, CpuLimit: limits.CPU})
	switch {
	case err != nil:
		return notResized(pid, err)
	case resp.GetFailure() != nil:
		return wire.FromFailure(resp.GetFailure())
	}
	return nil
}

// notResized is the error of a call that a worker did not answer.
func notResized(pid int, err error) error {
	if status.Code(err) == codes.Unimplemented {
		return fmt.Errorf("the worker process %d that hosts the container is of an older build, which cannot resize: restart the container", pid)
	}
	return fmt.Errorf("ask the worker process %d to resize the container: %w", pid, err)
}
