package wasi

import (
	"context"
	"time"

	"golang.org/x/sys/unix"
)

// Interest is one thing that a guest waits for, and its result.
type Interest struct {
	Object Object        // nil: wait for a Signal or a time
	Signal Signal        // nil: wait for a time
	After  time.Duration // without an Object and a Signal: how long to wait
	Write  bool          // with an Object: wait until it can be written to, instead of read

	Ready  bool   // the event has happened; it may be set before Poll, too
	Hangup bool   // the other end is closed
	Err    Error  // why it is impossible to wait for the Object; 0 if it is possible
	Bytes  uint64 // number of bytes that can be transferred, if it is known

	source source
	slot   int // index in the list of the kernel's descriptors
}

// Signal is something of the host that a guest waits for, and that another goroutine brings about.
type Signal interface {
	// Ready reports whether it has happened.
	Ready() bool
	// Notify has f called once, when it may have happened: by another goroutine, or by Notify
	// itself. A later Notify replaces it, also by nil. Only the guest's thread calls Notify.
	Notify(f func())
}

// source says where the result comes from.
type source byte

const (
	fromNow    source = iota // already known
	fromClock                // the time
	fromKernel               // a descriptor of the kernel: slot
	fromInput                // standard input
	fromSignal               // a Signal
)

// interestsPerLook is how many interests a poll handles between two checks whether the guest was
// killed. keptInterests is the number of interests for which memory is kept until the next poll.
const (
	interestsPerLook = 256
	keptInterests    = 1 << 10
)

// Poll waits until at least one event of the list has happened, and sets Ready for those that have.
func (g *Guest) Poll(ctx context.Context, list []Interest) error {
	s, err := g.sources(ctx, list)
	if g.polled = s.fds[:0]; len(list) > keptInterests {
		g.polled = nil
	}
	if err != nil {
		return err
	}
	began := time.Now()
	end := began.Add(s.wait) // used only with a deadline
	if s.signals && s.wait > 0 {
		defer notify(list, nil)
	}
	for {
		if s.signals && s.wait > 0 {
			notify(list, g.waker.ringing)
		}
		if err := g.rest(ctx, s); err != nil {
			return err
		}
		ready, err := g.answers(ctx, list, s.fds, time.Since(began))
		if ready || err != nil {
			return err
		}
		if s.wait != noDeadline {
			s.wait = max(time.Until(end), 0)
		}
	}
}

// sources are the things that a poll waits for.
type sources struct {
	fds     []unix.PollFd // for the kernel, and a last entry that watch uses
	wait    time.Duration // until the earliest time
	input   bool          // whether standard input is among them
	signals bool          // whether signals are among them
}

// notify has f called when a signal of the list may have happened.
func notify(list []Interest, f func()) {
	for i := range list {
		if list[i].source == fromSignal {
			list[i].Signal.Notify(f)
		}
	}
}

// WaitFor waits until a signal has happened.
func (g *Guest) WaitFor(ctx context.Context, s Signal) error {
	if s.Ready() {
		return nil
	}
	defer s.Notify(nil)
	for {
		s.Notify(g.waker.ringing)
		if err := g.pause(ctx, noDeadline); err != nil || s.Ready() {
			return err
		}
	}
}

// sources finds the source of each interest.
func (g *Guest) sources(ctx context.Context, list []Interest) (sources, error) {
	s := sources{fds: g.polled, wait: noDeadline}
	for i := range list {
		if err := g.lookAt(ctx, i); err != nil {
			return s, err
		}
		in := &list[i]
		in.source = fromNow
		switch {
		case in.Ready:
			s.wait = 0
		case in.Object != nil:
			s.of(in)
		case in.Signal != nil:
			in.source, s.signals = fromSignal, true
			if in.Signal.Ready() {
				s.wait = 0
			}
		default:
			in.source = fromClock
			s.wait = min(s.wait, max(in.After, 0))
		}
	}
	s.fds = append(s.fds, unix.PollFd{})
	return s, nil
}

// of adds the source of an interest in an object.
func (s *sources) of(in *Interest) {
	fd := in.descriptor()
	switch {
	case fd >= 0:
		events := int16(unix.POLLIN)
		if in.Write {
			events = unix.POLLOUT
		}
		in.source, in.slot = fromKernel, len(s.fds)
		s.fds = append(s.fds, unix.PollFd{Fd: int32(fd), Events: events})
	case in.source == fromInput:
		s.input = true
	default:
		in.Ready, s.wait = true, 0
	}
}

// descriptor is the descriptor that the kernel must watch for an interest in an object, or -1.
func (in *Interest) descriptor() int {
	switch o := in.Object.(type) {
	case *Input:
		if in.Write {
			in.Err = ErrBadDescriptor
		} else {
			in.source = fromInput
		}
	case *Output:
		if !in.Write {
			in.Err = ErrBadDescriptor
		}
		in.Bytes = maxChunk
	case *File:
		switch {
		case o.kind != TypeRegularFile:
			return o.fd
		case in.Write:
			in.Bytes = 1
		default:
			in.Bytes = o.remaining()
		}
	case *TCP:
		return o.fd
	case *UDP:
		return o.fd
	default:
		in.Err = ErrBadDescriptor
	}
	return -1
}

// rest waits for any of the sources. It does not wait if an event has already happened.
func (g *Guest) rest(ctx context.Context, s sources) error {
	if s.input {
		if ahead, end := g.stdin.state(); ahead > 0 || end != nil {
			s.wait = 0
		}
	}
	if len(s.fds) > 1 {
		return g.watch(ctx, s.fds, s.wait)
	}
	return g.pause(ctx, s.wait)
}

// answers sets the results, and reports whether any event has happened.
func (g *Guest) answers(ctx context.Context, list []Interest, fds []unix.PollFd, passed time.Duration) (any bool, err error) {
	for i := range list {
		if err := g.lookAt(ctx, i); err != nil {
			return false, err
		}
		in := &list[i]
		switch in.source {
		case fromClock:
			in.Ready = in.After <= passed
		case fromSignal:
			in.Ready = in.Signal.Ready()
		case fromInput:
			ahead, end := g.stdin.state()
			in.Bytes, in.Hangup = uint64(ahead), ahead == 0 && end != nil
			in.Ready = ahead > 0 || end != nil
		case fromKernel:
			in.answer(fds[in.slot])
		}
		any = any || in.Ready
	}
	return any, nil
}

// lookAt checks whether the guest was killed, but only for some values of i.
func (g *Guest) lookAt(ctx context.Context, i int) error {
	if i%interestsPerLook != interestsPerLook-1 {
		return nil
	}
	return g.pace.look(ctx)
}

// answer sets the result from the kernel's events for a descriptor.
func (in *Interest) answer(fd unix.PollFd) {
	if fd.Revents == 0 {
		return
	}
	in.Ready, in.Bytes = true, 1
	if fd.Revents&unix.POLLNVAL != 0 {
		in.Err = ErrBadDescriptor
	}
	in.Hangup = fd.Revents&unix.POLLHUP != 0
	if fd.Events&unix.POLLIN != 0 {
		if n, err := unix.IoctlGetInt(int(fd.Fd), unix.TIOCINQ); err == nil { // a listening socket has no such number
			in.Bytes = uint64(max(n, 0))
		}
	}
}
