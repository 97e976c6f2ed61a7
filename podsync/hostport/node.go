package hostport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"
)

// Port is a port of the node that leads to a port of a pod.
type Port struct {
	// The node listens at port Number of Address. 0.0.0.0 and :: stand for all addresses of their
	// family. The zero Addr stands for all addresses.
	Address netip.Addr
	Number  uint16
	// To is where the pod listens. A connection leads to the first address of the family that the
	// client used, or else to the first address.
	To []netip.AddrPort
}

// One pod has at most a quarter of the connections of all pods. If a pod has several ports, each
// port has at most half of the pod's connections. So clients that take all connections of one port
// leave some for other pods and ports.
const (
	podShare  = 4
	portShare = 2
)

// lastWords is how long connections to a pod may stay open after the pod was closed.
const lastWords = time.Second

// ErrEnded says that the Node has ended.
var ErrEnded = errors.New("the node listens for pods no more")

// Node listens for pods. Make one with New.
type Node struct {
	log     *zap.Logger
	machine func() ([]netip.Addr, error) // the addresses of the machine
	slots   chan struct{}                // holds a token for each connection
	tasks   sync.WaitGroup
	guard   Guard // nil: all clients are welcome

	mu    sync.Mutex
	ended bool
	pods  map[string]*pod
}

// Guard decides which clients may connect to a pod. The pod itself cannot decide that, because
// forwarded connections seem to come from the machine. Its methods may be called by any goroutine.
type Guard interface {
	// Admit decides on a new connection. It may wait until the rules are known, or ctx ends.
	Admit(ctx context.Context, pod string, client netip.Addr, to netip.AddrPort) bool
	// Admits decides on a connection that there is. It does not wait.
	Admits(pod string, client netip.Addr, to netip.AddrPort) bool
}

// New makes the Node of a machine. address is an address of the machine, even if no interface has
// it. connections is the largest number of connections at one time. Each costs two open files.
// guard may be nil.
func New(address netip.Addr, connections int, guard Guard, log *zap.Logger) *Node {
	machine := func() ([]netip.Addr, error) { return interfaceAddresses(address) }
	n := newNode(machine, connections, log)
	n.guard = guard
	return n
}

func newNode(machine func() ([]netip.Addr, error), connections int, log *zap.Logger) *Node {
	return &Node{log: log, machine: machine, slots: make(chan struct{}, connections), pods: map[string]*pod{}}
}

// pod has the listeners and connections of one pod.
type pod struct {
	uid   string
	ports []Port
	open  map[netip.AddrPort]*net.TCPListener // guarded by Node.mu
	slots chan struct{}
	each  map[uint16]chan struct{} // the slots of each port
	begin func(l *net.TCPListener, to netip.AddrPort)
	end   context.CancelFunc // ends the pod's connections
	live  connections
}

// Open listens for a pod at all its ports. If that fails, it listens at none and returns the error.
// It closes what it opened for the pod before.
func (n *Node) Open(of string, ports []Port) error {
	n.Close(of)
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.ended {
		return ErrEnded
	}
	ctx, end := context.WithCancel(context.Background())
	p := &pod{uid: of, ports: ports, open: map[netip.AddrPort]*net.TCPListener{}, slots: make(chan struct{}, max(1, cap(n.slots)/podShare)), end: end}
	p.each = shares(ports, cap(p.slots))
	p.begin = func(l *net.TCPListener, to netip.AddrPort) {
		n.tasks.Go(func() { n.accept(ctx, l, p, to, p.each[portOf(l)], p.slots, n.slots) })
	}
	if errs := n.listen(p); len(errs) > 0 {
		p.closeListeners()
		end()
		return errs[0] // the other errors mostly say the same about other addresses
	}
	n.pods[of] = p
	return nil
}

// shares are the slots of a pod's ports. If the pod has only one port, that port has all slots.
func shares(ports []Port, of int) map[uint16]chan struct{} {
	each := map[uint16]chan struct{}{}
	for _, port := range ports {
		each[port.Number] = nil
	}
	if len(each) > 1 {
		of = max(1, of/portShare)
	}
	for number := range each {
		each[number] = make(chan struct{}, of)
	}
	return each
}

func portOf(l *net.TCPListener) uint16 {
	return l.Addr().(*net.TCPAddr).AddrPort().Port() //nolint:forcetypeassert // a TCP listener has this type
}

func (p Port) everywhere() bool { return !p.Address.IsValid() || p.Address.IsUnspecified() }

// listen opens the missing listeners of a pod. If several ports want the same address, the first
// port gets it. It continues after an error.
func (n *Node) listen(p *pod) []error {
	var errs []error
	for _, port := range p.ports {
		addresses := []netip.Addr{port.Address}
		if port.everywhere() {
			all, err := n.machine()
			if err != nil {
				return append(errs, fmt.Errorf("hostPort %d: listing the machine's addresses: %w", port.Number, err))
			}
			addresses = slices.DeleteFunc(all, func(a netip.Addr) bool { return port.Address.IsValid() && a.Is4() != port.Address.Is4() })
		}
		for _, a := range addresses {
			at := netip.AddrPortFrom(a, port.Number)
			if p.open[at] != nil || slices.Contains(port.To, at) { // the pod may listen there itself
				continue
			}
			l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(at))
			switch {
			case err == nil:
				p.open[at] = l
				p.begin(l, port.target(a))
			// The address was removed in the meantime, or is not usable yet.
			case port.everywhere() && errors.Is(err, unix.EADDRNOTAVAIL):
			case errors.Is(err, unix.EACCES):
				errs = append(errs, fmt.Errorf("hostPort %d: %w: ports below 1024 take root or CAP_NET_BIND_SERVICE", port.Number, err))
			default:
				errs = append(errs, fmt.Errorf("hostPort %d: %w", port.Number, err))
			}
		}
	}
	return errs
}

// target is the pod's address for a connection that came to the node's address at.
func (p Port) target(at netip.Addr) netip.AddrPort {
	for _, to := range p.To {
		if to.Addr().Is4() == at.Is4() {
			return to
		}
	}
	return p.To[0]
}

// Close ends the listening for a pod. When it returns, the ports are free.
func (n *Node) Close(of string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	p := n.pods[of]
	if p == nil {
		return
	}
	delete(n.pods, of)
	p.closeListeners()
	time.AfterFunc(lastWords, p.end)
}

func (p *pod) closeListeners() {
	for _, l := range p.open {
		_ = l.Close() // no data was written to it
	}
}

// Run listens at addresses that the machine gets later, until ctx ends. Then it ends everything
// that the Node does.
func (n *Node) Run(ctx context.Context) {
	n.follow(ctx)
	n.mu.Lock()
	n.ended = true
	for _, p := range n.pods {
		p.closeListeners()
		p.end()
	}
	n.mu.Unlock()
	n.tasks.Wait()
}

// refresh listens at addresses that are new.
func (n *Node) refresh() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for of, p := range n.pods {
		if errs := n.listen(p); len(errs) > 0 {
			n.log.Warn("cannot listen for a pod at all addresses of the machine", zap.String("uid", of), zap.Errors("errors", errs))
		}
	}
}
