package host

import (
	"context"
	"time"

	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/worker/wire"
	"github.com/krustlet-go/krustlet-wasi/runtime/worker/workerpb"
)

// Start implements the protocol.
func (s *server) Start(ctx context.Context, req *workerpb.StartRequest) (*workerpb.StartResponse, error) {
	r, err := s.start(ctx, wire.FromSpec(req.GetSpec()), runtime.Streams{}, false, req)
	if err != nil {
		return &workerpb.StartResponse{Failure: wire.ToFailure(err)}, nil
	}
	return &workerpb.StartResponse{StartedAt: wire.ToTime(r.startedAt)}, nil
}

// start starts a guest and enters it into the registry.
func (s *server) start(ctx context.Context, spec runtime.Spec, streams runtime.Streams, session bool, req *workerpb.StartRequest) (*run, error) {
	ctx, r, err := s.begin(ctx, spec, session, req)
	if err != nil {
		return nil, err
	}
	var process runtime.Process
	defer func() { s.begun(r, process) }()
	p, err := s.cfg.Engine.Start(ctx, spec, streams)
	switch {
	case err != nil && s.stale(r, req.GetWatch()):
		return nil, wire.ErrStale // which is why, and not what the engine says of its context
	case err != nil:
		return nil, err
	}
	process = p
	return r, nil
}

// stale tells whether a start was given up for a newer Watch.
func (s *server) stale(r *run, watch uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !r.session && watch != s.watch
}

// Discard implements the protocol.
func (s *server) Discard(ctx context.Context, req *workerpb.DiscardRequest) (*workerpb.DiscardResponse, error) {
	s.mu.Lock()
	r := s.runs[req.GetId()]
	if r == nil {
		s.mu.Unlock()
		return &workerpb.DiscardResponse{}, nil
	}
	r.unwanted = true
	r.cancel()
	switch {
	case r.exit != nil && !r.session:
		r.process.Forget()
		s.drop(r)
	case r.process != nil:
		r.process.Stop(0)
	}
	s.mu.Unlock()
	select {
	case <-r.gone:
		return &workerpb.DiscardResponse{}, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Stop implements the protocol.
func (s *server) Stop(_ context.Context, req *workerpb.StopRequest) (*workerpb.StopResponse, error) {
	for _, g := range req.GetGuests() {
		if p := s.process(g.GetId()); p != nil {
			p.Stop(time.Duration(g.GetGrace()))
		}
	}
	return &workerpb.StopResponse{}, nil
}

// Resize implements the protocol.
func (s *server) Resize(ctx context.Context, req *workerpb.ResizeRequest) (*workerpb.ResizeResponse, error) {
	p := s.process(req.GetId())
	if p == nil {
		return &workerpb.ResizeResponse{}, nil
	}
	if err := p.Resize(ctx, runtime.Limits{Memory: req.GetMemoryLimit(), CPU: req.GetCpuLimit()}); err != nil {
		return &workerpb.ResizeResponse{Failure: wire.ToFailure(err)}, nil
	}
	return &workerpb.ResizeResponse{}, nil
}

// process is the run's process, nil if there is none.
func (s *server) process(id string) runtime.Process {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.runs[id]; r != nil {
		return r.process
	}
	return nil
}

// Forget implements the protocol.
func (s *server) Forget(_ context.Context, req *workerpb.ForgetRequest) (*workerpb.ForgetResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range req.GetIds() {
		if r := s.runs[id]; r != nil && r.exit != nil && !r.session {
			r.process.Forget()
			s.drop(r)
		}
	}
	return &workerpb.ForgetResponse{}, nil
}

// HostCalls implements the protocol.
func (s *server) HostCalls(context.Context, *workerpb.HostCallsRequest) (*workerpb.HostCallsResponse, error) {
	return &workerpb.HostCallsResponse{HostCalls: s.cfg.hostCalls()}, nil
}

// Stats implements the protocol.
func (s *server) Stats(_ context.Context, req *workerpb.StatsRequest) (*workerpb.StatsResponse, error) {
	processes := map[string]runtime.Process{}
	s.mu.Lock()
	if len(req.GetIds()) == 0 {
		for id, r := range s.runs {
			processes[id] = r.process
		}
	}
	for _, id := range req.GetIds() {
		if r := s.runs[id]; r != nil {
			processes[id] = r.process
		}
	}
	s.mu.Unlock()
	out := &workerpb.StatsResponse{}
	for id, p := range processes {
		if p != nil {
			out.Stats = append(out.Stats, wire.ToStats(id, p.Stats()))
		}
	}
	return out, nil
}
