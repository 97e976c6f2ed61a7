package host

import (
	"context"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/krustlet-go/krustlet-wasi/runtime/worker/wire"
	"github.com/krustlet-go/krustlet-wasi/runtime/worker/workerpb"
)

// listPiece is how many runs go into one message of the list.
const listPiece = 256

// watcher is an agent's Watch. The server's lock guards its queue, which holds no more than there are runs.
type watcher struct {
	queue []*workerpb.Run
	wake  chan struct{} // has a token when there is something in queue
	over  chan struct{} // closed when a newer one takes its place
}

func (w *watcher) add(r *workerpb.Run) {
	w.queue = append(w.queue, r)
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// Watch implements the protocol.
func (s *server) Watch(_ *workerpb.WatchRequest, stream grpc.ServerStreamingServer[workerpb.WatchResponse]) error {
	w := &watcher{wake: make(chan struct{}, 1), over: make(chan struct{})}
	number, list, err := s.enter(stream.Context(), w)
	if err != nil {
		return err
	}
	defer s.leave(w)
	for len(list) > listPiece {
		if err := stream.Send(&workerpb.WatchResponse{Watch: number, Runs: list[:listPiece]}); err != nil {
			return err
		}
		list = list[listPiece:]
	}
	if err := stream.Send(&workerpb.WatchResponse{Watch: number, Runs: list, Listed: true, HostCalls: s.cfg.hostCalls()}); err != nil {
		return err
	}
	return s.follow(w, number, stream)
}

// follow sends what ends until the agent goes, another one comes, or the worker has ended.
func (s *server) follow(w *watcher, number uint64, stream grpc.ServerStreamingServer[workerpb.WatchResponse]) error {
	for {
		last := false
		select {
		case <-w.wake:
		case <-w.over:
			return status.Error(codes.Aborted, wire.ErrStale.Error())
		case <-stream.Context().Done():
			return stream.Context().Err()
		case <-s.ended:
			last = true
		}
		s.mu.Lock()
		runs := w.queue
		w.queue = nil
		s.mu.Unlock()
		for piece := range slices.Chunk(runs, listPiece) {
			if err := stream.Send(&workerpb.WatchResponse{Watch: number, Runs: piece}); err != nil {
				return err
			}
		}
		if last {
			return nil
		}
	}
}

// enter makes w the agent's Watch, and gives the list of all runs. Starts that an earlier agent asked for are given up
// and waited for first: the new one may only ask for what it does not find.
func (s *server) enter(ctx context.Context, w *watcher) (uint64, []*workerpb.Run, error) {
	s.mu.Lock()
	if s.ending {
		s.mu.Unlock()
		return 0, nil, status.Error(codes.Unavailable, wire.ErrEnding.Error())
	}
	if s.agent != nil {
		close(s.agent.over)
	}
	s.agent = w
	s.watch++
	number := s.watch
	s.settleLocked()
	var starts []*run
	for _, r := range s.runs {
		if r.process == nil && !r.session {
			r.cancel()
			starts = append(starts, r)
		}
	}
	s.mu.Unlock()
	for _, r := range starts {
		select {
		case <-r.settled:
		case <-ctx.Done():
			s.leave(w)
			return 0, nil, ctx.Err()
		}
	}
	list, ok := s.list(w)
	if !ok {
		return 0, nil, status.Error(codes.Aborted, wire.ErrStale.Error())
	}
	return number, list, nil
}

// list is all runs of pods. From there on, w gets those that end. It is not ok if w is not the agent's any more.
func (s *server) list(w *watcher) ([]*workerpb.Run, bool) {
	began := map[string]time.Time{} // the engine's own word, which the exits repeat
	for _, r := range s.cfg.Engine.Runs() {
		began[r.ID] = r.StartedAt
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.agent != w {
		return nil, false
	}
	w.queue = nil // it is in the list
	var list []*workerpb.Run
	for _, r := range s.runs {
		if r.session || r.process == nil || r.unwanted {
			continue
		}
		if at, ok := began[r.id]; ok {
			r.startedAt = at
		}
		list = append(list, r.message())
	}
	return list, true
}

// leave ends an agent's Watch.
func (s *server) leave(w *watcher) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.agent == w {
		s.agent = nil
		s.settleLocked()
	}
}
