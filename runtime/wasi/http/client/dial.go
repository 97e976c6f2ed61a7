package client

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/krustlet-go/krustlet-wasi/runtime"
)

const (
	// maxAddresses is how many addresses of a name are tried. Large sites have some four.
	maxAddresses = 8
	// headStart is how long an address is tried before the next one is, too (RFC 8305, 8).
	headStart = 250 * time.Millisecond
)

// patienceKey is the key of a request's patience in its context, which a dial for it has.
type patienceKey struct{}

// dial connects to a host and port, if the guest may.
func (c *Client) dial(ctx context.Context, _, address string) (net.Conn, error) {
	done, ok := c.begin()
	if !ok {
		return nil, &Error{Code: ConnectionTerminated, Err: errClosed}
	}
	defer done()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(c.ctx, func() { cancel(errClosed) })()
	addresses, port, err := c.resolve(ctx, address)
	if err != nil {
		return nil, err
	}
	return c.race(ctx, addresses, port)
}

// resolve returns the addresses of a host that the guest may look up.
func (c *Client) resolve(ctx context.Context, address string) (all []netip.Addr, port uint16, err error) {
	host, number, err := net.SplitHostPort(address)
	if err != nil {
		return nil, 0, &Error{Code: RequestURIInvalid, Err: err}
	}
	n, err := strconv.ParseUint(number, 10, 16)
	if err != nil {
		return nil, 0, &Error{Code: RequestURIInvalid, Err: err}
	}
	port = uint16(n)
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a.Unmap()}, port, nil
	}
	if err := c.cfg.Network.Name(host, port); err != nil {
		return nil, 0, lookedUp(err)
	}
	if p, ok := ctx.Value(patienceKey{}).(*patience); ok {
		p.lookingUp.Store(true)
		defer p.lookingUp.Store(false)
	}
	all, err = c.cfg.Network.Lookup(ctx, host)
	if err != nil {
		return nil, 0, lookedUp(err)
	}
	if len(all) == 0 {
		return nil, 0, &Error{Code: DNSError}
	}
	return all[:min(len(all), maxAddresses)], port, nil
}

// attempt is the result of one address.
type attempt struct {
	conn net.Conn
	err  error
}

// race tries the addresses in their order, and returns the first connection. An address is tried
// when the one before has failed, or has had its head start.
func (c *Client) race(ctx context.Context, addresses []netip.Addr, port uint16) (net.Conn, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	results := make(chan attempt)
	var first error
	running, next := 0, 0
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
			if next == len(addresses) {
				continue
			}
			to := netip.AddrPortFrom(addresses[next].Unmap(), port)
			next++
			running++
			go func() {
				conn, err := c.connect(ctx, to)
				results <- attempt{conn, err}
			}()
			timer.Reset(headStart)
		case r := <-results:
			running--
			if r.err == nil {
				cancel()
				drop(results, running)
				return r.conn, nil
			}
			first = worse(first, r.err)
			if ctx.Err() != nil {
				next = len(addresses)
			}
			if running == 0 && next == len(addresses) {
				return nil, first
			}
			timer.Reset(0)
		}
	}
}

// drop waits for attempts that have lost.
func drop(results <-chan attempt, n int) {
	for range n {
		if r := <-results; r.err == nil {
			_ = r.conn.Close()
		}
	}
}

// worse is the error that says more: that of the first address, unless the guest may not connect to
// it and to another one it may.
func worse(first, other error) error {
	var e *Error
	if first == nil || errors.As(first, &e) && e.Code == DestinationIPProhibited {
		return other
	}
	return first
}

// connect connects to one of the guest's addresses.
func (c *Client) connect(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
	route, err := c.cfg.Network.Connect(runtime.TCP, to)
	if err != nil {
		return nil, connected(err)
	}
	room, err := c.reserve()
	if err != nil {
		return nil, err
	}
	d := net.Dialer{Control: func(_, _ string, raw syscall.RawConn) error {
		return raw.Control(func(fd uintptr) { prepare(int(fd), c.cfg.Network.Own(route.From)) })
	}}
	if route.From.IsValid() {
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(route.From, 0))
	}
	raw, err := d.DialContext(ctx, "tcp", route.To.String())
	if err != nil {
		c.traffic.receiveErrors.Add(1)
		room()
		return nil, connected(err)
	}
	return c.adopt(raw, room)
}

// prepare sets options of a socket before it is bound. If one fails, to bind or connect says so.
//
// The kernel chooses the local port when it knows the other end, so that connections to different
// ends may have the same one. The machine has a pod's own address by a route only.
func prepare(fd int, own bool) {
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
	if own {
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_FREEBIND, 1) // IPv4 needs none
	}
}
