package network

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/egress"
	"github.com/krustlet-go/krustlet-wasi/runtime/names"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
)

const (
	// pinLife is how long an address that was found for a name may be connected to, at least. Guests
	// keep what they have looked up for longer than servers say.
	pinLife = 10 * time.Minute
	// maxPins bounds the addresses of a guest that were found for names, and maxPinned the names of
	// each. Of more, those that were looked up last count.
	maxPins   = 1024
	maxPinned = 16
)

// pin is an address with the names for which it was found.
type pin struct {
	names []egress.Found // the last one was looked up last
	until time.Time
	held  int // connections to it, while which it stays
}

func (p *pin) stays(now time.Time) bool { return p.held > 0 || now.Before(p.until) }

// lookupErrors are the errors of lookups as guests get them.
var lookupErrors = map[names.Reason]wasi.Error{
	names.Invalid: wasi.ErrInvalid, names.Denied: wasi.ErrAccess, names.NotFound: wasi.ErrNotExist, names.NoAddress: wasi.ErrNotExist,
	names.NoAnswer: wasi.ErrWouldBlock, names.Failed: wasi.ErrIO, names.NoServer: wasi.ErrIO, names.TooMany: wasi.ErrNoBuffers,
}

// lookupError is the error of a lookup. As an error of package wasi, it is one of lookupErrors.
type lookupError struct{ failed *names.Error }

// Error implements error.
func (e *lookupError) Error() string { return e.failed.Error() }

// Unwrap is for package errors. What is below must not be seen: an error of a socket may look like
// the end of a context.
func (e *lookupError) Unwrap() error {
	if reason, ok := lookupErrors[e.failed.Reason]; ok {
		return reason
	}
	return wasi.ErrIO
}

// Rcode is the response code of the server that decided, such as NXDOMAIN, or empty. Requests of
// HTTP tell it to their guest.
func (e *lookupError) Rcode() string { return e.failed.RCode }

// Lookup implements wasi.Network.
func (n *Network) Lookup(ctx context.Context, name string) ([]netip.Addr, error) {
	answer, err := n.resolver.Lookup(ctx, name)
	var failed *names.Error
	switch {
	case errors.As(err, &failed):
		if failed.Reason == names.Denied {
			n.noteName(name)
		}
		return nil, &lookupError{failed}
	case err != nil:
		return nil, err
	}
	if answer.Name != "" {
		if v := n.policy.Name(answer.Name, 0); !answer.Own && v.Noted {
			n.note(answer.Name, v, false)
		}
		n.pin(answer)
	}
	return answer.Addresses, nil
}

// noteName counts the denial of a name as the guest wrote it.
func (n *Network) noteName(name string) {
	if canonical, err := egress.Canonical(name); err == nil {
		v := n.policy.Name(canonical, 0)
		if !v.Denied {
			v = egress.Verdict{Noted: true, Denied: true, By: runtime.ByEgress}
		}
		n.note(canonical, v, false)
	}
}

// mayLookUp reports whether servers may be asked for a name.
func (n *Network) mayLookUp(name string) bool { return !n.policy.Name(name, 0).Denied }

// Name implements wasi.Network. The name may stand for one with a search domain, as for Lookup.
func (n *Network) Name(name string, port uint16) error {
	if _, err := netip.ParseAddr(name); err == nil {
		return nil // Connect decides
	}
	canonical, err := egress.Canonical(name)
	if err != nil {
		return wasi.ErrInvalid
	}
	if _, known := n.known[canonical]; known || canonical == "localhost" || strings.HasSuffix(canonical, ".localhost") {
		return nil // Connect decides: no server is asked
	}
	first := n.policy.Name(canonical, port)
	best := first
	if !strings.HasSuffix(name, ".") {
		for _, domain := range n.search {
			full, err := egress.Canonical(canonical + "." + domain)
			if v := n.policy.Name(full, port); err == nil && best.Noted && (!v.Noted || best.Denied && !v.Denied) {
				best = v
			}
		}
	}
	if best.Noted {
		n.note(net.JoinHostPort(canonical, strconv.Itoa(int(port))), best, false)
	}
	if best.Denied {
		return wasi.ErrAccess
	}
	return nil
}

// pin remembers an answer.
func (n *Network) pin(answer names.Answer) {
	now := time.Now()
	found := egress.Found{Name: answer.Name, Pods: answer.Own || n.chosen}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return
	}
	for _, a := range answer.Addresses {
		a = a.Unmap()
		p := n.pins[a]
		if p == nil {
			if len(n.pins) >= maxPins {
				n.dropPin(now)
			}
			p = &pin{}
			n.pins[a] = p
		} else if !p.stays(now) {
			p.names = nil
		}
		p.until = now.Add(max(pinLife, answer.TTL))
		p.names = append(slices.DeleteFunc(slices.Clone(p.names), func(f egress.Found) bool { return f == found }), found)
		if len(p.names) > maxPinned {
			p.names = p.names[1:]
		}
	}
}

// dropPin makes room for an address. The caller holds the mutex.
func (n *Network) dropPin(now time.Time) {
	var first netip.Addr
	for a, p := range n.pins {
		if !p.stays(now) {
			delete(n.pins, a)
			continue
		}
		if f := n.pins[first]; f == nil || f.held > 0 || p.held == 0 && p.until.Before(f.until) {
			first = a
		}
	}
	if len(n.pins) >= maxPins {
		delete(n.pins, first)
	}
}

// found are the names for which an address was found.
func (n *Network) found(a netip.Addr) []egress.Found {
	n.mu.Lock()
	defer n.mu.Unlock()
	if p := n.pins[a]; p != nil && p.stays(time.Now()) {
		return p.names // it is not changed in place
	}
	return nil
}

// hold keeps an address while a connection to it exists. The caller holds the mutex.
func (n *Network) hold(a netip.Addr) {
	if p := n.pins[a]; p != nil && p.stays(time.Now()) {
		p.held++
	}
}

// letGo reverts hold. The caller holds the mutex.
func (n *Network) letGo(a netip.Addr) {
	if p := n.pins[a]; p != nil && p.held > 0 {
		p.held--
		if until := time.Now().Add(pinLife); until.After(p.until) {
			p.until = until
		}
	}
}

// dialServer connects a socket to a server of names. It implements names.Dial. The servers of the
// node's choice need no permission of the lists of egress, because a guest cannot say what is sent
// to them but for names that it may look up.
func (n *Network) dialServer(ctx context.Context, p runtime.Protocol, to netip.AddrPort) (net.Conn, error) {
	_, chosen := n.podServers[to]
	t := target{p, plainAddress(to)}
	if chosen {
		var err error
		if t, err = n.meant(t); err != nil {
			return nil, err
		}
	}
	route, err := n.route(t, !chosen)
	if err != nil {
		return nil, err
	}
	route = zoned(route, to)
	give, ok := n.takeQuestion()
	if !ok {
		return nil, errQuestions
	}
	conn, err := dialRoute(ctx, p, route)
	if err != nil {
		give()
		return nil, err
	}
	return &questionConn{conn, give}, nil
}

// dialRoute connects a socket of the host.
func dialRoute(ctx context.Context, p runtime.Protocol, route wasi.Route) (net.Conn, error) {
	d := net.Dialer{Control: func(_, _ string, raw syscall.RawConn) error {
		if !route.From.Is6() {
			return nil
		}
		var failed error
		err := raw.Control(func(fd uintptr) {
			failed = unix.SetsockoptInt(int(fd), unix.SOL_IPV6, unix.IPV6_FREEBIND, 1) // the machine has pods' addresses by a route
		})
		return errors.Join(err, failed)
	}}
	if p == runtime.UDP {
		if route.From.IsValid() {
			d.LocalAddr = net.UDPAddrFromAddrPort(netip.AddrPortFrom(route.From, 0))
		}
		return d.DialContext(ctx, "udp", route.To.String())
	}
	if route.From.IsValid() {
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(route.From, 0))
	}
	return d.DialContext(ctx, "tcp", route.To.String())
}
