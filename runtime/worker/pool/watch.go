package pool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/krustlet-go/krustlet-wasi/runtime/pause"
	"github.com/krustlet-go/krustlet-wasi/runtime/worker/wire"
	"github.com/krustlet-go/krustlet-wasi/runtime/worker/workerpb"
)

// keepWatch keeps the agent's knowledge about the worker's runs correct, even if connections break.
func (w *worker) keepWatch(ctx context.Context) {
	for {
		err := w.watchOnce(ctx)
		if ctx.Err() != nil {
			w.link.set(0)
			return
		}
		if status.Code(err) == codes.Aborted {
			err = wire.ErrStale
		}
		if errors.Is(err, wire.ErrStale) || errors.Is(err, errProtocol) {
			w.log.Error("a worker cannot be used any more", zap.Error(err))
			if errors.Is(err, errProtocol) {
				w.account.drain() // the worker keeps its runs
			}
			w.link.lose(err)
			return
		}
		w.link.set(0)
		w.log.Debug("the connection to a worker broke", zap.Error(err))
		wait := 10 * time.Millisecond
		if errors.Is(err, errSlow) {
			wait = time.Second
		}
		if pause.For(ctx, wait) != nil {
			return
		}
	}
}

var (
	errProtocol = errors.New("the worker does not keep to a protocol that this agent understands")
	errSlow     = errors.New("the worker's list of runs does not come to its end")
)

// watchOnce lists the worker's runs, and follows their ends until the connection breaks.
func (w *worker) watchOnce(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	slow := time.AfterFunc(w.pool.cfg.Patience, func() { cancel(errSlow) })
	defer slow.Stop()
	stream, err := w.list(ctx)
	if err != nil {
		if cause := context.Cause(ctx); errors.Is(cause, errSlow) {
			return cause
		}
		return err
	}
	if !slow.Stop() {
		return errSlow
	}
	for pace := (pace{}); ; {
		resp, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return wire.ErrEnding
		}
		if err != nil {
			return err
		}
		for _, r := range resp.GetRuns() {
			w.pool.runs.ended(w, r)
		}
		if err := pace.keep(ctx); err != nil {
			return err
		}
	}
}

// list takes over all of the worker's runs. After that, the stream reports runs that end.
func (w *worker) list(ctx context.Context) (workerpb.Worker_WatchClient, error) {
	hello, err := w.client.Hello(ctx, &workerpb.HelloRequest{}, grpc.WaitForReady(true))
	if err != nil {
		return nil, err
	}
	if n := hello.GetProtocol(); !wire.Understands(n) {
		return nil, fmt.Errorf("%w: its number is %d, and not from %d to %d", errProtocol, n, wire.OldestProtocol, wire.Protocol)
	}
	stream, err := w.client.Watch(ctx, &workerpb.WatchRequest{})
	if err != nil {
		return nil, err
	}
	var list []*workerpb.Run
	for refused := 0; ; {
		resp, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil, wire.ErrEnding
		}
		if err != nil {
			return nil, err
		}
		for _, m := range resp.GetRuns() {
			switch {
			case !w.pool.runs.admit(w, m):
				refused++
			case len(list) == mostRuns:
				return nil, fmt.Errorf("%w: it claims more than %d runs", errProtocol, mostRuns)
			default:
				list = append(list, m)
			}
		}
		if !resp.GetListed() {
			continue
		}
		if refused > 0 {
			w.log.Error("a worker claims runs that were not started in it: look into what it runs", zap.Int("runs", refused))
		}
		if hello.GetBuild() != w.pool.cfg.Build {
			w.account.drain()
		}
		w.pool.runs.sync(w, list)
		w.pool.calls.add(w.told.listed(resp.GetHostCalls()))
		w.link.set(resp.GetWatch())
		return stream, nil
	}
}

// pace lets a worker send a number of messages in a row, and then makes it wait, because other
// goroutines of the pool cannot use the book of runs while a message is handled.
type pace struct {
	n     int
	since time.Time
}

const (
	paceMessages = 1000
	paceTime     = 100 * time.Millisecond
)

func (p *pace) keep(ctx context.Context) error {
	if p.n++; p.n%paceMessages != 0 {
		return nil
	}
	err := pause.For(ctx, paceTime-time.Since(p.since))
	p.since = time.Now()
	return err
}
