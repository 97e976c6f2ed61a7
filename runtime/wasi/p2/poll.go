package p2

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/descriptor"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/p2/bindings"
)

// pollable is a resource of wasi:io/poll. It waits for a time, an object, a signal, or what a
// socket does, or else is always ready: a regular file and an output are.
type pollable struct {
	host   *Host
	timer  bool
	when   uint64      // of a timer, by the monotonic clock
	object wasi.Object // nil for none
	write  bool
	signal wasi.Signal            // nil for none
	socket *tcpSocket             // nil for none
	of     *descriptor.Descriptor // the object, if the guest opened it
}

// pollable makes a resource of p.
func (h *Host) pollable(p pollable) (bindings.Pollable, error) {
	if err := h.take(pollables); err != nil {
		return nil, err
	}
	p.host = h
	use(p.of)
	return &p, nil
}

// Drop implements typed.Resource.
func (p *pollable) Drop() {
	p.host.done(p.of)
	p.host.give(pollables)
}

// interest sets what the pollable waits for. in is zero before.
func (p *pollable) interest(in *wasi.Interest, now uint64) {
	switch {
	case p.timer:
		in.After = time.Duration(min(p.when-min(now, p.when), math.MaxInt64))
	case p.object != nil:
		in.Object, in.Write = p.object, p.write
	case p.signal != nil:
		in.Signal = p.signal
	case p.socket != nil:
		p.socket.interest(in)
	default:
		in.Ready = true
	}
}

// Ready implements bindings.Pollable.
func (p *pollable) Ready(ctx context.Context) (bool, error) {
	h := p.host
	if p.timer {
		return p.when <= h.now(), nil
	}
	if p.signal != nil {
		return p.signal.Ready(), nil
	}
	list := h.list2()
	defer h.forget(list)
	p.interest(&list[0], 0)
	list[1].Ready = true // so that the poll does not wait
	err := h.guest.Poll(ctx, list)
	return list[0].Ready, killed(err)
}

// list2 returns two interests.
func (h *Host) list2() []wasi.Interest {
	h.interests = slices.Grow(h.interests, 2)[:2]
	return h.interests
}

// Block implements bindings.Pollable.
func (p *pollable) Block(ctx context.Context) error {
	h := p.host
	list := h.list2()[:1]
	defer h.forget(list)
	p.interest(&list[0], h.now())
	return killed(h.guest.Poll(ctx, list))
}

// polls has the functions of wasi:io/poll.
type polls struct{ host *Host }

var (
	errNoPollables   = errors.New("the guest polls an empty list")
	errManyPollables = fmt.Errorf("the guest polls more than %d pollables", maxPoll)
)

// Poll implements bindings.PollHost.
func (p polls) Poll(ctx context.Context, in []bindings.Pollable) ([]uint32, error) {
	switch {
	case len(in) == 0:
		return nil, errNoPollables
	case len(in) > maxPoll:
		return nil, errManyPollables
	}
	h := p.host
	h.interests = slices.Grow(h.interests, len(in))[:len(in)]
	list := h.interests
	defer h.forget(list)
	now := h.now()
	for i, x := range in {
		if i%perLook == perLook-1 {
			if err := h.guest.Look(ctx); err != nil {
				return nil, err
			}
		}
		x.(*pollable).interest(&list[i], now)
	}
	if err := h.guest.Poll(ctx, list); err != nil {
		return nil, killed(err)
	}
	ready := h.ready[:0]
	for i := range list {
		if list[i].Ready {
			ready = append(ready, uint32(i))
		}
	}
	if len(list) <= keptInterests {
		h.ready = ready
	}
	return ready, nil
}

// forget keeps the memory of a poll of usual size, but clears its data.
func (h *Host) forget(list []wasi.Interest) {
	if len(list) > keptInterests {
		h.interests = nil
		return
	}
	clear(list)
	h.interests = h.interests[:0]
}

// killed is the error of a poll. WIT has none for it, so trouble of the host ends the guest.
func killed(err error) error {
	if err != nil && wasi.ErrorOf(err) == 0 {
		return wasi.ErrKilled
	}
	return err
}
