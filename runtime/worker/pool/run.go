package pool

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/pause"
	"github.com/krustlet-go/krustlet-wasi/runtime/worker/wire"
	"github.com/krustlet-go/krustlet-wasi/runtime/worker/workerpb"
)

// start asks the worker to start a run. After a broken connection it asks again.
func (w *worker) start(ctx context.Context, g *guest, spec runtime.Spec) error {
	req := &workerpb.StartRequest{Spec: wire.ToSpec(spec), Mark: w.marks.mark(spec.ID, spec.Of)}
	for known := uint64(0); ; known = req.GetWatch() {
		watch, err := w.link.current(ctx, known)
		switch {
		case err != nil && known == 0 && ctx.Err() == nil:
			return fmt.Errorf("%w: %w", errExited, err)
		case err != nil && known == 0:
			return err
		case err != nil:
			w.discard(g) // the worker was already asked
			return err
		case g.hasRun():
			return nil // the start succeeded before the connection broke
		}
		if known == 0 && w.process.exited() {
			return errExited // the pool will notice this soon; the worker gets no more guests
		}
		if err := w.informed(ctx, watch); err != nil {
			if known != 0 {
				w.discard(g)
			}
			return err
		}
		w.account.touch(g.of.Pod, time.Now())
		req.Watch = watch
		call, stop := withoutDeadline(ctx)
		resp, err := w.client.Start(call, req)
		stop()
		switch {
		case err == nil && resp.GetFailure() == nil:
			g.noteStarted(wire.FromTime(resp.GetStartedAt()))
			return nil
		case err == nil:
			if err := wire.FromFailure(resp.GetFailure()); !errors.Is(err, wire.ErrStale) {
				return err
			}
		case ctx.Err() != nil:
			w.discard(g)
			return ctx.Err()
		// Unavailable means that the connection broke. Canceled means that our side was closed,
		// after the exit of the worker.
		case status.Code(err) != codes.Unavailable && status.Code(err) != codes.Canceled:
			return fmt.Errorf("asking the worker process %d to start the container: %w", w.info.PID, err)
		}
	}
}

// withoutDeadline is a context that ends with ctx. The worker does not get the deadline. Otherwise
// the error would depend on which side notices the deadline first.
func withoutDeadline(ctx context.Context) (context.Context, context.CancelFunc) {
	inner, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, cancel)
	return inner, func() {
		stop()
		cancel()
	}
}

// discard undoes a start, and waits for that at most as long as calls may take. After that it
// continues in the background until the worker can be reached.
func (w *worker) discard(g *guest) {
	told := make(chan struct{})
	w.pool.runs.refuse(g.id)
	w.account.hold()
	err := w.pool.tasks.start(func(ctx context.Context) {
		defer close(told)
		w.keepDiscarding(ctx, g.id)
		w.pool.runs.allow(g.id)
		w.account.release()
	})
	if err != nil {
		return // the next agent finds the run
	}
	ctx, cancel := context.WithTimeout(context.Background(), callPatience)
	defer cancel()
	select {
	case <-told:
	case <-ctx.Done():
	}
}

// keepDiscarding makes the worker discard a run, unless the worker exits first.
func (w *worker) keepDiscarding(ctx context.Context, id string) {
	for {
		if err := w.inTouch(ctx); err != nil {
			return
		}
		if _, err := w.client.Discard(ctx, &workerpb.DiscardRequest{Id: id}); err == nil {
			return
		}
		if pause.For(ctx, callPause) != nil {
			return
		}
	}
}
