package host

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/worker/wire"
	"github.com/krustlet-go/krustlet-wasi/runtime/worker/workerpb"
)

// Spans implements the protocol. It ends when the agent ends it, and after all guests of a worker
// that exits have ended.
func (s *server) Spans(req *workerpb.SpansRequest, stream grpc.ServerStreamingServer[workerpb.SpansResponse]) error {
	tracer, ok := s.cfg.Engine.(runtime.HTTPTracer)
	if !ok {
		return status.Error(codes.Unimplemented, "this worker has no requests for traces")
	}
	ctx, cancel := context.WithCancel(stream.Context())
	defer cancel()
	stop := make(chan struct{})
	defer close(stop)
	s.work.Go(func() {
		select {
		case <-s.last:
			cancel()
		case <-stop:
		}
	})
	var failed error
	err := tracer.Spans(ctx, int(req.GetPerMillion()), func(spans []runtime.HTTPSpan, dropped uint64) {
		if failed != nil {
			return
		}
		if failed = stream.Send(wire.ToSpans(spans, dropped)); failed != nil {
			cancel()
		}
	})
	switch {
	case failed != nil:
		return failed
	case stream.Context().Err() != nil:
		return stream.Context().Err()
	case ctx.Err() != nil: // the worker exits
		return nil
	}
	return status.Error(codes.Aborted, err.Error())
}
