package host

import (
	"context"
	"slices"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/krustlet-go/krustlet-wasi/runtime/worker/wire"
	"github.com/krustlet-go/krustlet-wasi/runtime/worker/workerpb"
)

// listPiece is how many runs one message of the list contains.
const listPiece = 256

// watcher is an agent's Watch. It keeps the runs that have ended until they are sent. It never has
// more of them than there are runs.
type watcher struct {
	wake     chan struct{} // has a token when there is something to send
	replaced chan struct{} // closed when there is a newer Watch

	mu    sync.Mutex
	queue []*workerpb.Run
}

func newWatcher() *watcher {
	return &watcher{wake: make(chan struct{}, 1), replaced: make(chan struct{})}
}

func (w *watcher) add(r *workerpb.Run) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.queue = append(w.queue, r)
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// take returns the runs that are not sent yet.
func (w *watcher) take() []*workerpb.Run {
	w.mu.Lock()
	defer w.mu.Unlock()
	runs := w.queue
	w.queue = nil
	return runs
}

// Watch implements the protocol.
func (s *server) Watch(_ *workerpb.WatchRequest, stream grpc.ServerStreamingServer[workerpb.WatchResponse]) error {
	w := newWatcher()
	number, list, err := s.enter(stream.Context(), w)
	if err != nil {
		return err
	}
	defer s.table.leave(w)
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

// enter makes w the agent's Watch, and lists all runs. It waits for the starts that an earlier
// agent requested, because the new agent may request only runs that are not in the list.
func (s *server) enter(ctx context.Context, w *watcher) (uint64, []*workerpb.Run, error) {
	number, starts, err := s.table.enter(w)
	if err != nil {
		return 0, nil, err
	}
	for _, e := range starts {
		select {
		case <-e.begun:
		case <-ctx.Done():
			s.table.leave(w)
			return 0, nil, ctx.Err()
		}
	}
	list, ok := s.table.list(w, s.cfg.Engine.Runs())
	if !ok {
		return 0, nil, status.Error(codes.Aborted, wire.ErrStale.Error())
	}
	return number, list, nil
}

// follow sends the runs that end, until the agent disconnects, there is a newer Watch, or the
// worker exits.
func (s *server) follow(w *watcher, number uint64, stream grpc.ServerStreamingServer[workerpb.WatchResponse]) error {
	for {
		last := false
		select {
		case <-w.wake:
		case <-w.replaced:
			return status.Error(codes.Aborted, wire.ErrStale.Error())
		case <-stream.Context().Done():
			return stream.Context().Err()
		case <-s.last:
			last = true
		}
		for piece := range slices.Chunk(w.take(), listPiece) {
			if err := stream.Send(&workerpb.WatchResponse{Watch: number, Runs: piece}); err != nil {
				return err
			}
		}
		if last {
			return nil
		}
	}
}
