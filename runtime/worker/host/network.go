package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/pause"
	"github.com/krustlet-go/krustlet-wasi/runtime/worker/wire"
	"github.com/krustlet-go/krustlet-wasi/runtime/worker/workerpb"
)

// Cluster is what the guests of a worker share of the network.
type Cluster interface {
	// Apply returns when an update holds for all guests, those that run and those that start later.
	// The caller does not use the update any more. Updates come one at a time.
	Apply(update runtime.NetworkUpdate)
	// Denials waits until the network has refused something, and returns what it has refused since
	// the last call. Refusals that differ only in their time are one. The error is that of ctx. One
	// caller uses it at a time.
	Denials(ctx context.Context) ([]runtime.PodDenial, error)
}

// UpdateNetwork implements the protocol.
func (s *server) UpdateNetwork(stream grpc.ClientStreamingServer[workerpb.UpdateNetworkRequest, workerpb.UpdateNetworkResponse]) error {
	if s.cfg.Network == nil {
		return status.Error(codes.Unimplemented, "this worker has no network for its guests")
	}
	var parts []*workerpb.UpdateNetworkRequest
	size := 0
	for {
		part, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if size += proto.Size(part); size > wire.MostUpdate {
			return status.Errorf(codes.ResourceExhausted, "the update has more than %d bytes", wire.MostUpdate)
		}
		parts = append(parts, part)
	}
	if len(parts) == 0 {
		return status.Error(codes.InvalidArgument, "the update has no part")
	}
	if err := s.applyUpdate(parts); err != nil {
		return stream.SendAndClose(&workerpb.UpdateNetworkResponse{Failure: wire.ToFailure(err)})
	}
	return stream.SendAndClose(&workerpb.UpdateNetworkResponse{})
}

// applyUpdate applies an update of the present agent. An earlier agent may still send its last one.
func (s *server) applyUpdate(parts []*workerpb.UpdateNetworkRequest) error {
	s.network.Lock()
	defer s.network.Unlock()
	if s.table.superseded(parts[0].GetWatch()) {
		return fmt.Errorf("updating the network: %w", wire.ErrStale)
	}
	s.cfg.Network.Apply(wire.FromNetworkUpdate(parts))
	return nil
}

// denialsApart is the time between two messages about refusals. Those in between are sent together.
const denialsApart = 200 * time.Millisecond

// Denials implements the protocol. It ends when the agent ends it, and after all guests of a worker
// that exits have ended.
func (s *server) Denials(_ *workerpb.DenialsRequest, stream grpc.ServerStreamingServer[workerpb.DenialsResponse]) error {
	if s.cfg.Network == nil {
		return status.Error(codes.Unimplemented, "this worker has no network for its guests")
	}
	if !s.telling.TryLock() { // an earlier agent's call has not ended yet
		return status.Error(codes.Aborted, "another call takes the refusals")
	}
	defer s.telling.Unlock()
	ctx, cancel := context.WithCancel(stream.Context())
	defer cancel()
	ended := make(chan struct{})
	defer close(ended)
	s.work.Go(func() {
		select {
		case <-s.last:
			cancel()
		case <-ended:
		}
	})
	for {
		denials, err := s.cfg.Network.Denials(ctx)
		for _, m := range wire.ToDenials(denials) {
			if err := stream.Send(m); err != nil {
				return err
			}
		}
		if err == nil {
			err = pause.For(ctx, denialsApart)
		}
		switch {
		case stream.Context().Err() != nil:
			return stream.Context().Err()
		case ctx.Err() != nil: // the worker exits
			return nil
		case err != nil:
			return fmt.Errorf("waiting for what the network refuses: %w", err)
		}
	}
}
