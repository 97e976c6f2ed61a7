package names

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/dns/dnsmessage"
	"k8s.io/utils/lru"

	"github.com/krustlet-go/krustlet-wasi/runtime"
)

const (
	// maxLookups is how many lookups of a Resolver may be under way. A further one fails.
	maxLookups = 256
	// maxSockets is how many of its questions may be under way. A further one waits.
	maxSockets = 32
	// maxKept is how many answers it keeps.
	maxKept = 256
	// maxLookup is the longest that a lookup takes, with all candidates, servers and attempts.
	maxLookup = 2 * time.Minute
)

// Dial connects a socket to a server. A socket of UDP has a port of its own, chosen by the kernel,
// and gets datagrams from the server only.
type Dial func(ctx context.Context, p runtime.Protocol, to netip.AddrPort) (net.Conn, error)

// Settings are what a Resolver needs.
type Settings struct {
	// Names are the guest's files. What exceeds the bounds of resolv.conf is cut: 3 servers, 32
	// domains, 15 dots, 30 seconds, 5 attempts.
	Names runtime.Names
	Dial  Dial
	// Allowed reports whether servers may be asked for a name, which is as Canonical returns it. It
	// is called for each candidate that a search list makes of a name, and must not wait. What it
	// refuses is no event yet: Lookup returns Denied if that is why a name was not found. nil allows
	// all names.
	Allowed func(name string) bool
	// NoIPv4 and NoIPv6 say that the guest has no address of the family. Then servers are not asked
	// for such addresses.
	NoIPv4, NoIPv6 bool
}

// Resolver looks up names for one guest.
type Resolver struct {
	dial     Dial
	allowed  func(name string) bool
	servers  []netip.AddrPort
	families []dnsmessage.Type
	hosts    map[string][]netip.Addr // by canonical name
	search   []string                // canonical domains; the empty one is the root
	ndots    int
	timeout  time.Duration
	attempts int
	rotate   bool
	tcp      bool

	lookups atomic.Int64
	turn    atomic.Uint32
	sockets chan struct{} // as many as questions that are under way

	mu      sync.Mutex
	flights map[question]*flight
	cache   *lru.Cache // of kept, by question
}

// New returns a Resolver.
func New(s Settings) *Resolver {
	n := s.Names
	r := &Resolver{
		dial: s.Dial, allowed: s.Allowed, servers: slices.Clone(n.Servers[:min(len(n.Servers), maxServers)]), hosts: map[string][]netip.Addr{},
		ndots: min(max(n.Ndots, 0), maxNdots), timeout: min(n.Timeout, maxTimeout), attempts: min(n.Attempts, maxAttempts),
		rotate: n.Rotate, tcp: n.TCP, sockets: make(chan struct{}, maxSockets), flights: map[question]*flight{}, cache: lru.New(maxKept),
	}
	if r.timeout <= 0 {
		r.timeout = defaultTimeout
	}
	if r.attempts <= 0 {
		r.attempts = defaultAttempts
	}
	if !s.NoIPv4 || s.NoIPv6 { // a guest without an address at all is asked for as if it had both
		r.families = append(r.families, dnsmessage.TypeA)
	}
	if !s.NoIPv6 || s.NoIPv4 {
		r.families = append(r.families, dnsmessage.TypeAAAA)
	}
	for _, domain := range n.Search[:min(len(n.Search), maxSearch)] {
		if domain == "." {
			r.search = append(r.search, "")
		} else if canon, ok := Canonical(domain); ok {
			r.search = append(r.search, canon)
		}
	}
	for _, host := range n.Hosts {
		for _, name := range host.Names {
			if canon, ok := Canonical(name); ok && len(r.hosts[canon]) < maxAddresses {
				r.hosts[canon] = append(r.hosts[canon], host.Address.Unmap())
			}
		}
	}
	r.turn.Store(rand.Uint32()) // guests that start together begin with different servers
	return r
}

// Answer is the result of a lookup.
type Answer struct {
	// Addresses has at least one: those of IPv4 first, and each family as its source has them.
	Addresses []netip.Addr
	// Name is the name that has the addresses: the one of the hosts file, or the candidate that a
	// server has answered. It is empty if the guest wrote an address.
	Name string
	// Own says that no server was asked: it is an address, a name of the hosts file, or localhost.
	Own bool
	// TTL is how long the answer may be kept; 0 means that it is for one use.
	TTL time.Duration
}

// Lookup returns the addresses of a name, or of an address as text. It returns an *Error, or that
// of ctx.
//
// It looks into the hosts file first, then asks servers for each candidate of the name, until one
// exists and has an address, or no server answers. An address with a zone is no name.
func (r *Resolver) Lookup(ctx context.Context, name string) (Answer, error) {
	if address, err := netip.ParseAddr(name); err == nil && address.Zone() == "" {
		return Answer{Addresses: []netip.Addr{address.Unmap()}, Own: true, TTL: maxHeld}, nil
	}
	canon, absolute, ok := canonical(name)
	if !ok {
		return Answer{}, &Error{Reason: Invalid}
	}
	if addresses := r.own(canon); addresses != nil {
		return Answer{Addresses: addresses, Name: canon, Own: true, TTL: maxHeld}, nil
	}
	if r.lookups.Add(1) > maxLookups {
		r.lookups.Add(-1)
		return Answer{}, &Error{Reason: TooMany}
	}
	defer r.lookups.Add(-1)
	bounded, cancel := context.WithTimeout(ctx, maxLookup)
	defer cancel()
	answer, err := r.firstFound(bounded, candidates(canon, absolute, r.search, r.ndots))
	if err != nil && ctx.Err() == nil && bounded.Err() != nil {
		err = &Error{Reason: NoAnswer}
	}
	return answer, err
}

// firstFound looks up the candidates of a name. It ends where no server answers, as the C library
// does: others would take as long, and the name may exist. After a server that fails, it goes on.
func (r *Resolver) firstFound(ctx context.Context, candidates []string) (Answer, error) {
	worst := &Error{Reason: Invalid}
	for _, name := range candidates {
		if r.allowed != nil && !r.allowed(name) {
			worst = &Error{Reason: Denied}
			continue
		}
		if len(r.servers) == 0 {
			return Answer{}, &Error{Reason: NoServer}
		}
		answer, err := r.lookupOne(ctx, name)
		if err == nil {
			return answer, nil
		}
		var failure *Error
		if !errors.As(err, &failure) || failure.Reason == NoAnswer {
			return Answer{}, err
		}
		if rank(failure.Reason) > rank(worst.Reason) {
			worst = failure
		}
	}
	return Answer{}, worst
}

// rank orders what the candidates of a name end with. The highest is what a guest is told.
func rank(r Reason) int {
	return slices.Index([]Reason{Invalid, NotFound, NoAddress, Failed, Denied}, r)
}

// lookupOne asks servers for all addresses of a name, with one question for each family, at a time.
func (r *Resolver) lookupOne(ctx context.Context, name string) (Answer, error) {
	replies, errs := make([]reply, len(r.families)), make([]error, len(r.families))
	var asking sync.WaitGroup
	for i, family := range r.families {
		q := question{name, family}
		answer, ok := r.kept(q)
		if replies[i] = answer; !ok { // no goroutine for what is there
			asking.Go(func() { replies[i], errs[i] = r.ask(ctx, q) })
		}
	}
	asking.Wait()
	answer := Answer{Name: name, TTL: maxHeld}
	var addresses []netip.Addr
	missing := &Error{Reason: NoAddress, RCode: rcodeName(dnsmessage.RCodeSuccess)}
	for _, one := range replies {
		if len(one.addresses) > 0 {
			addresses, answer.TTL = append(addresses, one.addresses...), min(answer.TTL, one.held)
		}
		if one.rcode == dnsmessage.RCodeNameError {
			missing = &Error{Reason: NotFound, RCode: rcodeName(one.rcode)}
		}
	}
	if len(addresses) > 0 {
		answer.Addresses = r.usable(addresses)
		return answer, nil
	}
	if missing.Reason == NoAddress {
		for _, err := range errs {
			if err != nil {
				return Answer{}, err
			}
		}
	}
	return Answer{}, missing
}

// own returns the addresses of a name that no server has to be asked for.
func (r *Resolver) own(name string) []netip.Addr {
	addresses := r.hosts[name]
	if addresses == nil && isLocalhost(name) {
		addresses = []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}
	}
	return r.usable(addresses)
}

// usable returns those of addresses that are of the guest's families, IPv4 first. If none is, it
// returns all: then the guest learns why it cannot connect.
func (r *Resolver) usable(addresses []netip.Addr) []netip.Addr {
	var of4, of6 []netip.Addr
	for _, a := range addresses {
		if a.Is4() {
			of4 = append(of4, a)
		} else {
			of6 = append(of6, a)
		}
	}
	switch {
	case len(r.families) == 1 && r.families[0] == dnsmessage.TypeA && of4 != nil:
		return of4
	case len(r.families) == 1 && r.families[0] == dnsmessage.TypeAAAA && of6 != nil:
		return of6
	}
	return append(of4, of6...)
}
