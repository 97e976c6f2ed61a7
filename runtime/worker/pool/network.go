package pool

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/pause"
	"github.com/krustlet-go/krustlet-wasi/runtime/worker/wire"
	"github.com/krustlet-go/krustlet-wasi/runtime/worker/workerpb"
)

// Network knows what the cluster says of the network. Its states have numbers that grow.
type Network interface {
	// Changes returns what a worker has to know that knows the state of a number, and the number of
	// the state that it then knows. After 0, or a state that is too old, the update has everything.
	// If there is nothing to tell, the number is the same, and more is closed when that may have
	// changed. Before the first state is complete, the number is 0.
	Changes(after uint64) (update runtime.NetworkUpdate, now uint64, more <-chan struct{})
	// State is the number of the newest state.
	State() uint64
	// Denied takes what the network has refused to pods of a worker. It must not block.
	Denied(denials []runtime.PodDenial)
}

// news is what a worker knows of the network: the state of a number, which it got with a Watch.
type news struct {
	mu      sync.Mutex
	watch   uint64
	state   uint64
	ended   bool // nothing more is told
	changed chan struct{}
}

func newNews() *news { return &news{changed: make(chan struct{})} }

func (n *news) set(watch, state uint64, ended bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.watch, n.state, n.ended = watch, state, ended
	close(n.changed)
	n.changed = make(chan struct{})
}

// await waits until the worker knows a state, which it got with the Watch or a later one, or until
// nothing more is told.
func (n *news) await(ctx context.Context, watch, state uint64) error {
	for {
		n.mu.Lock()
		known, changed := n.ended || n.watch >= watch && n.state >= state, n.changed
		n.mu.Unlock()
		if known {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("waiting for the worker to know the network's rules: %w", ctx.Err())
		}
	}
}

// informed waits until the worker knows the state of the network at the time of the call. So a
// guest never starts under older rules. It also waits for the first state that is complete.
func (w *worker) informed(ctx context.Context, watch uint64) error {
	if w.pool.cfg.Network == nil {
		return nil
	}
	return w.news.await(ctx, watch, max(1, w.pool.cfg.Network.State()))
}

// informedForCommand is informed for a command. Before the first state is complete, a command runs
// under the rules of the run beside which it is.
func (w *worker) informedForCommand(ctx context.Context, watch uint64) error {
	if w.pool.cfg.Network == nil || w.pool.cfg.Network.State() == 0 {
		return nil
	}
	return w.informed(ctx, watch)
}

// keepInformed tells the worker what the cluster says of the network, until ctx ends. With each new
// Watch it tells everything, because the worker may know what another agent has told.
func (w *worker) keepInformed(ctx context.Context) {
	defer w.news.set(0, 0, true)
	if w.pool.cfg.Network == nil {
		return
	}
	for before := uint64(0); ; {
		watch, err := w.link.current(ctx, before)
		if err != nil {
			return
		}
		err = w.informOf(ctx, watch)
		switch {
		case ctx.Err() != nil:
			return
		case status.Code(err) == codes.Unimplemented:
			w.log.Debug("a worker cannot be told what the cluster says of the network", zap.Error(err))
			return
		case err == nil || errors.Is(err, wire.ErrStale):
			before = watch
		default:
			w.log.Warn("a worker could not be told what the cluster says of the network; it will be", zap.Error(err))
			if pause.For(ctx, callPause) != nil {
				return
			}
		}
	}
}

// informOf tells the worker the network's state and its changes, as long as the Watch is current.
func (w *worker) informOf(ctx context.Context, watch uint64) error {
	for state := uint64(0); ; {
		current, changed := w.link.now()
		if current != watch {
			return nil
		}
		update, now, more := w.pool.cfg.Network.Changes(state)
		if now != state {
			if err := w.inform(ctx, watch, update); err != nil {
				return err
			}
			state = now
			w.news.set(watch, state, false)
			continue
		}
		select {
		case <-more:
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// informPatience bounds one update.
const informPatience = 30 * time.Second

func (w *worker) inform(ctx context.Context, watch uint64, update runtime.NetworkUpdate) error {
	ctx, cancel := context.WithTimeout(ctx, informPatience)
	defer cancel()
	stream, err := w.client.UpdateNetwork(ctx)
	if err != nil {
		return err
	}
	for _, part := range wire.ToNetworkUpdate(update, watch) {
		if stream.Send(part) != nil {
			break // CloseAndRecv has the reason
		}
	}
	resp, err := stream.CloseAndRecv()
	if err == nil && resp.GetFailure() != nil {
		return wire.FromFailure(resp.GetFailure())
	}
	return err
}

// denialsApart is the time between two messages about refusals that the agent reads from a worker.
const denialsApart = 100 * time.Millisecond

// takeDenials gives what the network refuses to the worker's guests to the agent, until ctx ends.
func (w *worker) takeDenials(ctx context.Context) {
	if w.pool.cfg.Network == nil {
		return
	}
	for {
		if w.link.await(ctx, func(watch uint64) bool { return watch != 0 }) != nil {
			return
		}
		err := w.takeDenialsOnce(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case status.Code(err) == codes.Unimplemented:
			w.log.Debug("a worker does not tell what the network refuses", zap.Error(err))
			return
		default:
			w.log.Debug("a worker stopped telling what the network refuses", zap.Error(err))
		}
		if pause.For(ctx, callPause) != nil {
			return
		}
	}
}

func (w *worker) takeDenialsOnce(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := w.client.Denials(ctx, &workerpb.DenialsRequest{})
	if err != nil {
		return err
	}
	for {
		m, err := stream.Recv()
		if err != nil {
			return err
		}
		var own []runtime.PodDenial
		for _, d := range wire.FromDenials(m) {
			if w.account.hostedLately(d.Pod, time.Now()) {
				own = append(own, d)
			}
		}
		if len(own) > 0 {
			w.pool.cfg.Network.Denied(own)
		}
		if err := pause.For(ctx, denialsApart); err != nil {
			return err
		}
	}
}
