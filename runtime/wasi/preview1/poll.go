package preview1

import (
	"context"
	"encoding/binary"
	"math"
	"slices"
	"time"

	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
)

// Layout of a subscription and an event in the guest's memory (typenames.witx), in bytes.
const (
	subscriptionSize = 48
	eventSize        = 32
)

// maxSubscriptions bounds one poll, and so the work and the memory of one call. keptSubscriptions
// is the number of subscriptions for which memory is kept until the next call.
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

// subscriptionsPerLook is how many subscriptions a poll reads between two checks whether the guest
// was killed.
const subscriptionsPerLook = 256

const (
	clockAbsolute = 1 // flag of a clock subscription: the timeout is a time of the clock
	pollHangup    = 1 // flag of an event: the other end is closed
)

// subscription has the data that the guest gets back with an event, and the error of its request.
type subscription struct {
	userdata uint64
	tag      byte
	errno    Errno
}

// polling is the memory of a poll. An interest belongs to the subscription with the same index.
type polling struct {
	subs      []subscription
	interests []wasi.Interest
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
	defer p.forget()
	p.subs, p.interests = slices.Grow(p.subs, int(n))[:n], slices.Grow(p.interests, int(n))[:n]
	// All are read first, because the events may overwrite them.
	for i := range p.subs {
		if i%subscriptionsPerLook == subscriptionsPerLook-1 {
			if err := g.Look(ctx); err != nil {
				return err
			}
		}
		if err := g.subscription(in[i*subscriptionSize:], &p.subs[i], &p.interests[i]); err != nil {
			return err
		}
	}
	if err := g.Poll(ctx, p.interests); err != nil {
		return err
	}
	return m.putU32(a.u32(3), p.events(out))
}

// subscription reads one subscription to s and in. in is zero before.
func (g *Guest) subscription(b []byte, s *subscription, in *wasi.Interest) error {
	le := binary.LittleEndian
	*s = subscription{userdata: le.Uint64(b), tag: b[8]}
	switch s.tag {
	case eventClock:
		var err error
		if in.After, err = g.until(le.Uint32(b[16:]), le.Uint64(b[24:]), le.Uint16(b[40:])); err != nil {
			s.errno, in.Ready = ErrnoInval, true
		}
		return nil
	case eventFDRead, eventFDWrite:
		d, err := g.fds.get(le.Uint32(b[16:]))
		switch {
		case err != nil:
			s.errno, in.Ready = ErrnoBadf, true
		case d.rights&rightPollFDReadwrite == 0:
			s.errno, in.Ready = ErrnoNotcapable, true
		default:
			in.Object, in.Write = d.object, s.tag == eventFDWrite
		}
		return nil
	}
	return ErrnoInval
}

// until is how long a clock's subscription waits from now. It is never negative.
func (g *Guest) until(clock uint32, timeout uint64, flags uint16) (time.Duration, error) {
	if clock > clockThreadCPU {
		return 0, ErrnoInval
	}
	if flags&clockAbsolute != 0 {
		now, err := g.now(clock)
		if err != nil {
			return 0, err
		}
		if timeout <= now {
			return 0, nil
		}
		timeout -= now
	}
	return time.Duration(min(timeout, math.MaxInt64)), nil
}

// events writes the events that have happened to out, and returns their number.
func (p *polling) events(out []byte) (count uint32) {
	for i := range p.interests {
		in, s := &p.interests[i], &p.subs[i]
		if !in.Ready {
			continue
		}
		b := out[count*eventSize:]
		clear(b[:eventSize])
		errno := s.errno
		if in.Err != 0 {
			errno = errnos[in.Err]
		}
		binary.LittleEndian.PutUint64(b, s.userdata)
		binary.LittleEndian.PutUint16(b[8:], uint16(errno))
		b[10] = s.tag
		binary.LittleEndian.PutUint64(b[16:], in.Bytes)
		if in.Hangup {
			binary.LittleEndian.PutUint16(b[24:], pollHangup)
		}
		count++
	}
	return count
}

// forget keeps the memory of a poll of usual size, but clears its data.
func (p *polling) forget() {
	if len(p.subs) > keptSubscriptions {
		*p = polling{}
		return
	}
	clear(p.interests)
	p.subs, p.interests = p.subs[:0], p.interests[:0]
}
