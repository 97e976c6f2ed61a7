package wasi

import (
	"context"
	"encoding/binary"
	"time"

	"golang.org/x/sys/unix"
)

// Layout of a subscription and an event in the guest's memory (typenames.witx), bytes.
const (
	subscriptionSize = 48
	eventSize        = 32
)

// maxSubscriptions bounds one poll, so that the work and the memory of one call are bounded. keptSubscriptions is for
// how many of them the memory is kept until the next call.
const (
	maxSubscriptions  = 16 << 10
	keptSubscriptions = 1 << 10
)

// Event types.
const (
	eventClock = iota
	eventFDRead
	eventFDWrite
)

// subscriptionsPerLook is how many subscriptions a poll works on before it looks whether the guest was killed.
const subscriptionsPerLook = 256

const (
	clockAbsolute = 1 // flag of a clock subscription: the time-out is a time of the clock
	pollHangup    = 1 // flag of an event: the other end is closed
)

type subscription struct {
	userdata uint64
	tag      byte
	fd       uint32
	clock    uint32
	timeout  uint64
	flags    uint16

	wait   time.Duration // how long a clock's subscription waits
	source source        // what a descriptor's waits for
	slot   int           // of the kernel's descriptors
	event  event         // what is known at once
}

// source is where a subscription's event comes from.
type source byte

const (
	fromNow    source = iota // it is known already: event
	fromClock                // the time
	fromKernel               // a descriptor of the kernel: slot
	fromInput                // standard input
)

type event struct {
	errno  Errno
	nbytes uint64
	flags  uint16
}

// polling is the memory of a poll. The kernel's descriptors have a last entry that belongs to watch.
type polling struct {
	subs []subscription
	fds  []unix.PollFd
}

func pollOneoff(ctx context.Context, g *Guest, m memory, a arguments) error {
	n := a.u32(2)
	if n == 0 || n > maxSubscriptions {
		return ErrnoInval
	}
	in, err := m.bytes(a.u32(0), n*subscriptionSize)
	if err != nil {
		return err
	}
	out, err := m.bytes(a.u32(1), n*eventSize)
	if err != nil {
		return err
	}
	if err := m.putU32(a.u32(3), 0); err != nil {
		return err
	}
	p := &g.polling
	p.subs, p.fds = p.subs[:0], p.fds[:0]
	for i := range int(n) { // all are read first: the guest may have its events written over them
		p.subs = append(p.subs, parseSubscription(in[i*subscriptionSize:]))
	}
	count, err := g.poll(ctx, p, out)
	if n > keptSubscriptions {
		*p = polling{}
	}
	if err != nil {
		return err
	}
	return m.putU32(a.u32(3), count)
}

func parseSubscription(b []byte) subscription {
	le := binary.LittleEndian
	return subscription{
		userdata: le.Uint64(b),
		tag:      b[8],
		fd:       le.Uint32(b[16:]),
		clock:    le.Uint32(b[16:]),
		timeout:  le.Uint64(b[24:]),
		flags:    le.Uint16(b[40:]),
	}
}

// poll waits until something is ready, writes the events of all that is to out, and returns how many.
func (g *Guest) poll(ctx context.Context, p *polling, out []byte) (uint32, error) {
	wait, err := g.sources(ctx, p)
	if err != nil {
		return 0, err
	}
	began := time.Now()
	end := began.Add(wait) // only where wait has an end
	for {
		if err := g.rest(ctx, p, wait); err != nil {
			return 0, err
		}
		count, err := g.events(ctx, p, time.Since(began), out)
		if count > 0 || err != nil {
			return count, err
		}
		if wait != noDeadline {
			wait = max(time.Until(end), 0)
		}
	}
}

// rest waits for anything that a subscription is for, but not when something is there already.
func (g *Guest) rest(ctx context.Context, p *polling, wait time.Duration) error {
	for i := range p.subs {
		s := &p.subs[i]
		if s.source == fromNow {
			wait = 0
		}
		if s.source == fromInput {
			if ahead, end := g.stdin.state(); ahead > 0 || end != nil {
				wait = 0
			}
		}
	}
	if len(p.fds) > 1 {
		return g.watch(ctx, p.fds, wait)
	}
	return g.pause(ctx, wait)
}

// sources looks what each subscription is for. It returns how long the shortest clock waits.
func (g *Guest) sources(ctx context.Context, p *polling) (time.Duration, error) {
	wait := noDeadline
	for i := range p.subs {
		if err := g.lookAt(ctx, i); err != nil {
			return 0, err
		}
		s := &p.subs[i]
		switch s.tag {
		case eventClock:
			d, err := g.untilClock(*s)
			if err != nil {
				s.event.errno = ErrnoInval
				continue
			}
			s.source, s.wait = fromClock, d
			wait = min(wait, d)
		case eventFDRead, eventFDWrite:
			g.descriptorSource(p, s)
		default:
			return 0, ErrnoInval
		}
	}
	p.fds = append(p.fds, unix.PollFd{}) // watch's
	return wait, nil
}

// untilClock is how long a clock subscription waits, seen from now. It is never negative.
func (g *Guest) untilClock(s subscription) (time.Duration, error) {
	if s.clock > clockThreadCPU {
		return 0, ErrnoInval
	}
	timeout := s.timeout
	if s.flags&clockAbsolute != 0 {
		now, err := g.now(s.clock)
		if err != nil {
			return 0, err
		}
		if timeout <= now {
			return 0, nil
		}
		timeout -= now
	}
	return time.Duration(min(timeout, uint64(noDeadline))), nil
}

// descriptorSource says what a subscription of a descriptor waits for.
func (g *Guest) descriptorSource(p *polling, s *subscription) {
	d, err := g.fds.get(s.fd)
	if err != nil {
		s.event.errno = ErrnoBadf
		return
	}
	if d.rights&rightPollFDReadwrite == 0 {
		s.event.errno = ErrnoNotcapable
		return
	}
	fd := -1
	switch o := d.object.(type) {
	case *input:
		if s.tag == eventFDWrite {
			s.event.errno = ErrnoBadf
		} else {
			s.source = fromInput
		}
	case *output:
		if s.tag == eventFDRead {
			s.event.errno = ErrnoBadf
		}
		s.event.nbytes = maxChunk
	case *file:
		switch {
		case o.kind != typeRegularFile:
			fd = o.fd
		case s.tag == eventFDRead:
			s.event.nbytes = o.remaining()
		default:
			s.event.nbytes = 1
		}
	case *listener:
		fd = o.fd
	case *connection:
		fd = o.fd
	default:
		s.event.errno = ErrnoBadf
	}
	if fd >= 0 {
		events := int16(unix.POLLIN)
		if s.tag == eventFDWrite {
			events = unix.POLLOUT
		}
		s.source, s.slot = fromKernel, len(p.fds)
		p.fds = append(p.fds, unix.PollFd{Fd: int32(fd), Events: events})
	}
}

// events writes what is ready to out.
func (g *Guest) events(ctx context.Context, p *polling, passed time.Duration, out []byte) (count uint32, err error) {
	for i := range p.subs {
		if err := g.lookAt(ctx, i); err != nil {
			return 0, err
		}
		s := &p.subs[i]
		e, ready := s.event, true
		switch s.source {
		case fromClock:
			ready = s.wait <= passed
		case fromInput:
			e, ready = g.stdin.event()
		case fromKernel:
			e, ready = kernelEvent(p.fds[s.slot])
		}
		if ready {
			e.put(out[count*eventSize:], s)
			count++
		}
	}
	return count, nil
}

// lookAt looks whether the guest was killed, before some of the subscriptions.
func (g *Guest) lookAt(ctx context.Context, subscription int) error {
	if subscription%subscriptionsPerLook != subscriptionsPerLook-1 {
		return nil
	}
	return g.pace.look(ctx)
}

// event is the input's, and whether there is one.
func (i *input) event() (event, bool) {
	ahead, end := i.state()
	if ahead == 0 && end != nil {
		return event{flags: pollHangup}, true
	}
	return event{nbytes: uint64(ahead)}, ahead > 0
}

// kernelEvent is the event of a descriptor that the kernel looked at, and whether there is one.
func kernelEvent(fd unix.PollFd) (event, bool) {
	if fd.Revents == 0 {
		return event{}, false
	}
	e := event{nbytes: 1}
	if fd.Revents&unix.POLLNVAL != 0 {
		e.errno = ErrnoBadf
	}
	if fd.Revents&unix.POLLHUP != 0 {
		e.flags = pollHangup
	}
	if fd.Events&unix.POLLIN != 0 {
		if n, err := unix.IoctlGetInt(int(fd.Fd), unix.TIOCINQ); err == nil { // a listening socket has none
			e.nbytes = uint64(max(n, 0))
		}
	}
	return e, true
}

func (e event) put(b []byte, s *subscription) {
	clear(b[:eventSize])
	binary.LittleEndian.PutUint64(b, s.userdata)
	binary.LittleEndian.PutUint16(b[8:], uint16(e.errno))
	b[10] = s.tag
	binary.LittleEndian.PutUint64(b[16:], e.nbytes)
	binary.LittleEndian.PutUint16(b[24:], e.flags)
}
