package wasi

import (
	"context"
	"encoding/binary"
	"math"
	"time"
)

// Layout of a subscription and an event in the guest's memory (typenames.witx), bytes.
const (
	subscriptionSize = 48
	eventSize        = 32
)

// maxSubscriptions bounds one poll, so that the work of one call is bounded.
const maxSubscriptions = 16 << 10

// Event types.
const (
	eventClock = iota
	eventFDRead
	eventFDWrite
)

const (
	clockAbsolute   = 1 // flag of a clock subscription: the time-out is a time of the clock
	pollHangup      = 1 // flag of an event: the other end is closed
	noDeadline      = time.Duration(math.MaxInt64)
	defaultPollSize = 8 // subscriptions that are polled without an allocation
)

type subscription struct {
	userdata uint64
	tag      byte
	fd       uint32
	clock    uint32
	timeout  uint64
	flags    uint16

	wait time.Duration // how long a clock's subscription waits
	bad  bool          // its clock is none
}

type event struct {
	userdata uint64
	errno    Errno
	kind     byte
	nbytes   uint64
	flags    uint16
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
	var small [defaultPollSize]subscription
	subs := small[:0]
	for i := range int(n) { // all are read first: the guest may have its events written over them
		subs = append(subs, parseSubscription(in[i*subscriptionSize:]))
	}
	count, err := g.poll(ctx, subs, out)
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

// poll writes the events of what is ready to out, and returns how many. Where nothing is, it waits for the
// first clock.
func (g *Guest) poll(ctx context.Context, subs []subscription, out []byte) (uint32, error) {
	var count uint32
	emit := func(e event) {
		e.put(out[count*eventSize:])
		count++
	}
	wait := noDeadline
	for i, s := range subs {
		switch s.tag {
		case eventClock:
			d, err := g.untilClock(s)
			if err != nil {
				emit(event{userdata: s.userdata, kind: s.tag, errno: ErrnoInval})
			}
			subs[i].wait, subs[i].bad = d, err != nil
			if err == nil {
				wait = min(wait, d)
			}
		case eventFDRead, eventFDWrite:
			emit(g.readiness(s))
		default:
			return 0, ErrnoInval
		}
	}
	if count > 0 {
		wait = 0
	}
	if err := sleep(ctx, wait); err != nil {
		return 0, err
	}
	for _, s := range subs {
		if s.tag == eventClock && !s.bad && s.wait <= wait {
			emit(event{userdata: s.userdata, kind: eventClock})
		}
	}
	return count, nil
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

// readiness is the event of a descriptor. All that this host has can be read and written without a long wait.
func (g *Guest) readiness(s subscription) event {
	e := event{userdata: s.userdata, kind: s.tag}
	d, err := g.fds.get(s.fd)
	if err != nil {
		e.errno = ErrnoBadf
		return e
	}
	switch o := d.object.(type) {
	case *input:
		if s.tag == eventFDWrite {
			e.errno = ErrnoBadf
		} else if o.r == nil {
			e.flags = pollHangup
		} else {
			e.nbytes = 1
		}
	case *output:
		if s.tag == eventFDRead {
			e.errno = ErrnoBadf
		} else {
			e.nbytes = maxChunk
		}
	case *file:
		e.nbytes = 1
		if s.tag == eventFDRead && o.kind == typeRegularFile {
			e.nbytes = o.remaining()
		}
	case *directory:
		e.errno = ErrnoBadf
	}
	return e
}

func (e event) put(b []byte) {
	clear(b[:eventSize])
	binary.LittleEndian.PutUint64(b, e.userdata)
	binary.LittleEndian.PutUint16(b[8:], uint16(e.errno))
	b[10] = e.kind
	binary.LittleEndian.PutUint64(b[16:], e.nbytes)
	binary.LittleEndian.PutUint16(b[24:], e.flags)
}

// sleep waits for d or for the guest to be killed.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		if ctx.Err() != nil {
			return ErrKilled
		}
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ErrKilled
	}
}
