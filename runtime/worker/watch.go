package worker

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

	"github.com/krustlet-go/krustlet-wasi/runtime/worker/workerpb"
)

// keepWatch keeps what the agent knows of the worker's runs true, over broken connections.
func (w *remote) keepWatch(ctx context.Context) {
	for {
		err := w.watchOnce(ctx)
		if ctx.Err() != nil {
			w.link.set(0)
			return
		}
		if status.Code(err) == codes.Aborted {
			err = errStale
		}
		if errors.Is(err, errStale) || errors.Is(err, errProtocol) {
			w.log.Error("a worker cannot be used any more", zap.Error(err))
			w.link.lose(err)
			return
		}
		w.link.set(0)
		w.log.Debug("the connection to a worker broke", zap.Error(err))
		if pause(ctx, 10*time.Millisecond) != nil {
			return
		}
	}
}

var errProtocol = errors.New("the worker speaks another protocol")

// watchOnce lists the worker's runs, and follows their ends for as long as the connection lasts.
func (w *remote) watchOnce(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	hello, err := w.client.Hello(ctx, &workerpb.HelloRequest{}, grpc.WaitForReady(true))
	if err != nil {
		return err
	}
	if hello.GetProtocol() != protocol {
		return fmt.Errorf("%w, %d instead of %d", errProtocol, hello.GetProtocol(), protocol)
	}
	stream, err := w.client.Watch(ctx, &workerpb.WatchRequest{})
	if err != nil {
		return err
	}
	var list []*workerpb.Run
	for listed := false; ; {
		resp, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return errEnding
		}
		if err != nil {
			return err
		}
		if listed {
			for _, r := range resp.GetRuns() {
				w.pool.ended(w, r)
			}
			continue
		}
		list = append(list, resp.GetRuns()...)
		if listed = resp.GetListed(); listed {
			w.pool.sync(w, hello.GetBuild(), list)
			w.pool.noteCalls(w, resp.GetHostCalls(), true)
			w.link.set(resp.GetWatch())
			list = nil
		}
	}
}
