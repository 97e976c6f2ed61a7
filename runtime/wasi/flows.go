package wasi

import (
	"container/list"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// flows has the other ends that a socket of UDP has exchanged datagrams with, as a firewall's table
// of connections has. So the datagrams of a flow take one way, even if the guest writes to a
// Service with many endpoints; an answer comes from the address that the guest wrote to; and
// answers are allowed, in both directions, as long as what they answer is.
type flows struct {
	byGuest, byHost map[netip.AddrPort]*flow
	order           list.List // of *flow, the one that was used least recently first
}

// flow is one of them.
type flow struct {
	guest, host netip.AddrPort // its address for the guest, and for the host
	used        time.Time
	// unanswered is when the guest first sent a datagram since the last one came. It is zero if
	// none is unanswered.
	unanswered time.Time
	at         *list.Element
	forbidden  atomic.Bool
	stop       func() // ends Network.Watch
}

const (
	// maxFlows is for all sockets of a guest. One more takes the place of another one of the same
	// socket. A flow takes some 400 bytes, and a watch of the Network.
	maxFlows = 4096
	// flowTime is how long a flow without datagrams exists, as in Linux's own table
	// (nf_conntrack_udp_timeout_stream).
	flowTime = 2 * time.Minute
	// answerTime is how long a flow of the guest waits for an answer before another endpoint of
	// the Service may get the next datagram.
	answerTime = 3 * time.Second
)

// to returns the flow that a datagram to the guest's address belongs to, or nil.
func (fs *flows) to(guest netip.AddrPort) *flow {
	f := fs.byGuest[guest]
	now := time.Now()
	if f == nil || !f.lives(now) || !f.unanswered.IsZero() && now.Sub(f.unanswered) > answerTime {
		return nil
	}
	if f.unanswered.IsZero() {
		f.unanswered = now
	}
	fs.use(f, now)
	return f
}

// from returns the flow that a datagram from the host's address belongs to, or nil.
func (fs *flows) from(host netip.AddrPort) *flow {
	f := fs.byHost[host]
	now := time.Now()
	if f == nil || !f.lives(now) {
		return nil
	}
	f.unanswered = time.Time{}
	fs.use(f, now)
	return f
}

func (f *flow) lives(now time.Time) bool { return !f.forbidden.Load() && now.Sub(f.used) < flowTime }

func (fs *flows) use(f *flow, now time.Time) {
	f.used = now
	fs.order.MoveToBack(f.at)
	fs.byHost[f.host] = f // two of the guest's addresses may have one way: the last one gets the answers
}

// add adds a flow, in place of one with the same address of the guest. outgoing says that the guest
// sends its first datagram.
func (fs *flows) add(u *UDP, guest, host netip.AddrPort, outgoing bool) {
	if fs.byGuest == nil {
		fs.byGuest, fs.byHost = map[netip.AddrPort]*flow{}, map[netip.AddrPort]*flow{}
	}
	now := time.Now()
	if f := fs.byGuest[guest]; f != nil {
		if f.host == host && !f.forbidden.Load() {
			f.unanswered = now
			fs.use(f, now)
			return
		}
		fs.remove(u, f)
	}
	if u.guest.flows >= maxFlows {
		first := fs.order.Front()
		if first == nil {
			return // other sockets have all flows: the answers are decided on as others are
		}
		fs.remove(u, first.Value.(*flow))
	}
	f := &flow{guest: guest, host: host, used: now}
	if outgoing {
		f.unanswered = now
	}
	f.stop = u.guest.network.Watch(runtime.UDP, u.local(), host, outgoing, func() { f.forbidden.Store(true) })
	f.at = fs.order.PushBack(f)
	fs.byGuest[guest], fs.byHost[host] = f, f
	u.guest.flows++
}

func (fs *flows) remove(u *UDP, f *flow) {
	f.stop()
	fs.order.Remove(f.at)
	delete(fs.byGuest, f.guest)
	if fs.byHost[f.host] == f {
		delete(fs.byHost, f.host)
	}
	u.guest.flows--
}

func (fs *flows) close(u *UDP) {
	for fs.order.Len() > 0 {
		fs.remove(u, fs.order.Front().Value.(*flow))
	}
}
