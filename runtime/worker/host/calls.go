package host

import (
	"context"
	"os"
	"time"

	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/worker/wire"
	"github.com/krustlet-go/krustlet-wasi/runtime/worker/workerpb"
)

// Hello implements the protocol.
func (s *server) Hello(context.Context, *workerpb.HelloRequest) (*workerpb.HelloResponse, error) {
	return &workerpb.HelloResponse{Protocol: wire.Protocol, Build: s.cfg.Build, Pid: int64(os.Getpid())}, nil
}

// Start implements the protocol.
func (s *server) Start(ctx context.Context, req *workerpb.StartRequest) (*workerpb.StartResponse, error) {
	run := request{spec: wire.FromSpec(req.GetSpec()), watch: req.GetWatch(), mark: req.GetMark()}
	_, startedAt, err := s.start(ctx, run, runtime.Streams{})
	if err != nil {
		return &workerpb.StartResponse{Failure: wire.ToFailure(err)}, nil
	}
	return &workerpb.StartResponse{StartedAt: wire.ToTime(startedAt)}, nil
}

// start starts a guest and adds it to the run table.
func (s *server) start(ctx context.Context, req request, streams runtime.Streams) (_ *entry, at time.Time, _ error) {
	ctx, e, err := s.table.begin(ctx, req)
	if err != nil {
		return nil, time.Time{}, err
	}
	var guest runtime.Guest
	defer func() { // it runs even if the engine panics
		at = s.table.begun(e, guest)
		if guest != nil {
			s.work.Go(func() {
				<-guest.Done()
				s.table.ended(e)
			})
		}
	}()
	started, err := s.cfg.Engine.Start(ctx, req.spec, streams)
	switch {
	case err != nil && !req.command && s.table.superseded(req.watch):
		return nil, time.Time{}, wire.ErrStale // the engine only says that its context has ended
	case err != nil:
		return nil, time.Time{}, err
	}
	guest = started
	return e, time.Time{}, nil
}

// Discard implements the protocol.
func (s *server) Discard(ctx context.Context, req *workerpb.DiscardRequest) (*workerpb.DiscardResponse, error) {
	select {
	case <-s.table.discard(req.GetId()):
		return &workerpb.DiscardResponse{}, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Stop implements the protocol.
func (s *server) Stop(_ context.Context, req *workerpb.StopRequest) (*workerpb.StopResponse, error) {
	for _, g := range req.GetGuests() {
		if guest := s.table.guest(g.GetId()); guest != nil {
			guest.Stop(time.Duration(g.GetGrace()))
		}
	}
	return &workerpb.StopResponse{}, nil
}

// Resize implements the protocol.
func (s *server) Resize(ctx context.Context, req *workerpb.ResizeRequest) (*workerpb.ResizeResponse, error) {
	guest := s.table.guest(req.GetId())
	if guest == nil {
		return &workerpb.ResizeResponse{}, nil
	}
	if err := guest.Resize(ctx, runtime.Limits{Memory: req.GetMemoryLimit(), CPU: req.GetCpuLimit()}); err != nil {
		return &workerpb.ResizeResponse{Failure: wire.ToFailure(err)}, nil
	}
	return &workerpb.ResizeResponse{}, nil
}

// Forget implements the protocol.
func (s *server) Forget(_ context.Context, req *workerpb.ForgetRequest) (*workerpb.ForgetResponse, error) {
	for _, id := range req.GetIds() {
		s.table.forget(id)
	}
	return &workerpb.ForgetResponse{}, nil
}

// HostCalls implements the protocol.
func (s *server) HostCalls(context.Context, *workerpb.HostCallsRequest) (*workerpb.HostCallsResponse, error) {
	return &workerpb.HostCallsResponse{HostCalls: s.cfg.hostCalls()}, nil
}

// Stats implements the protocol.
func (s *server) Stats(_ context.Context, req *workerpb.StatsRequest) (*workerpb.StatsResponse, error) {
	guests := map[string]runtime.Guest{}
	if len(req.GetIds()) == 0 {
		guests = s.table.guests()
	}
	for _, id := range req.GetIds() {
		if guest := s.table.guest(id); guest != nil {
			guests[id] = guest
		}
	}
	out := &workerpb.StatsResponse{}
	for id, guest := range guests {
		out.Stats = append(out.Stats, wire.ToStats(id, guest.Stats()))
	}
	return out, nil
}

// Shutdown implements the protocol.
func (s *server) Shutdown(_ context.Context, req *workerpb.ShutdownRequest) (*workerpb.ShutdownResponse, error) {
	if !s.table.shutdown(req.GetForce()) {
		return &workerpb.ShutdownResponse{Refused: true}, nil
	}
	return &workerpb.ShutdownResponse{HostCalls: s.cfg.hostCalls()}, nil
}
