package hostport

import (
	"context"
	"net"
	"net/netip"
	"sync"
)

// connections are the connections of a pod that are forwarded. The keys are unique.
type connections struct {
	mu  sync.Mutex
	all map[*connection]struct{}
}

type connection struct {
	client netip.Addr
	to     netip.AddrPort
	cut    context.CancelFunc
}

func (c *connections) add(one *connection) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.all == nil {
		c.all = map[*connection]struct{}{}
	}
	c.all[one] = struct{}{}
}

func (c *connections) remove(one *connection) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.all, one)
}

// cut ends those connections that are not allowed any more. They end by themselves, soon.
func (c *connections) cut(allowed func(*connection) bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for one := range c.all {
		if !allowed(one) {
			one.cut()
		}
	}
}

// admit forwards a connection if the guard allows it.
func (n *Node) admit(ctx context.Context, client *net.TCPConn, p *pod, to netip.AddrPort) {
	if n.guard == nil {
		forward(ctx, client, to.String())
		return
	}
	from := client.RemoteAddr().(*net.TCPAddr).AddrPort().Addr().Unmap() //nolint:forcetypeassert // a TCP connection has this type
	ctx, cut := context.WithCancel(ctx)
	defer cut()
	one := &connection{from, to, cut}
	// It is noted first, so that a change of the rules after the decision is not missed.
	p.live.add(one)
	defer p.live.remove(one)
	if !n.guard.Admit(ctx, p.uid, from, to) {
		reset(client)
		return
	}
	forward(ctx, client, to.String())
}

// Review cuts the connections that the guard does not allow any more. It is called after each
// change of the rules.
func (n *Node) Review() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for uid, p := range n.pods {
		p.live.cut(func(c *connection) bool { return n.guard.Admits(uid, c.client, c.to) })
	}
}
