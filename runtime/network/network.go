package network

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"

	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/egress"
	"github.com/krustlet-go/krustlet-wasi/runtime/names"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
)

// Resolver looks up names. *names.Resolver is one.
type Resolver interface {
	Lookup(ctx context.Context, name string) (names.Answer, error)
}

// Network is the network of one guest.
type Network struct {
	cluster *Cluster
	pod     *pod
	// machine says that the guest has all addresses and ports of the machine.
	machine   bool
	own       bool // the addresses belong to the pod alone
	four, six netip.Addr
	ports     map[runtime.Port]struct{}
	policy    *egress.Policy
	// ingress and egress are the rules while the cluster says no others: those of the start, or the
	// last that it has said. The Cluster's lock guards them.
	ingress, egress *rules
	resolver        Resolver
	known           map[string]struct{} // names of the hosts file
	search          []string
	chosen          bool // the pod has chosen servers of names
	podServers      map[netip.AddrPort]struct{}
	lists           []string                                    // that the cluster keeps for this Network
	taken           func(runtime.Protocol, netip.AddrPort) bool // takenEverywhere, except in tests

	mu        sync.Mutex
	questions int // sockets to servers of names
	pins      map[netip.Addr]*pin
	leads     map[netip.AddrPort]target // Services that have led datagrams to an endpoint
	private   map[target]int            // the host's, of sockets at the guest's loopback, and how many they are
	watches   map[*watch]struct{}
	probed    probe // the last result of taken
	closed    bool
}

var _ wasi.Network = (*Network)(nil)

// New makes the Network of a guest of a pod, or of no pod if the UID is empty. The error says what
// is wrong with the lists of egress. Close ends it.
func (c *Cluster) New(pod string, spec runtime.Network) (*Network, error) {
	n := &Network{
		cluster: c, own: spec.Own && len(spec.Addresses) > 0, machine: spec.Own && len(spec.Addresses) == 0,
		ports: map[runtime.Port]struct{}{}, known: map[string]struct{}{}, search: spec.Names.Search,
		taken: takenEverywhere, chosen: spec.Names.Chosen, podServers: map[netip.AddrPort]struct{}{},
		pins: map[netip.Addr]*pin{}, leads: map[netip.AddrPort]target{}, private: map[target]int{}, watches: map[*watch]struct{}{},
	}
	for _, a := range spec.Addresses {
		if a = a.Unmap(); a.Is4() && !n.four.IsValid() {
			n.four = a
		} else if a.Is6() && !n.six.IsValid() {
			n.six = a
		}
	}
	for _, p := range spec.Ports {
		n.ports[p] = struct{}{}
	}
	for _, s := range spec.Names.PodServers {
		n.podServers[s] = struct{}{}
	}
	for _, h := range spec.Names.Hosts {
		for _, name := range h.Names {
			if name, err := egress.Canonical(name); err == nil {
				n.known[name] = struct{}{}
			}
		}
	}
	var err, err2 error
	n.ingress, err = newRules(spec.Rules.Ingress)
	n.egress, err2 = newRules(spec.Rules.Egress)
	if err := errors.Join(err, err2); err != nil {
		return nil, fmt.Errorf("making the rules of the guest's pod: %w", err)
	}
	if n.policy, err = egress.NewFrom(spec.Egress, n.parse); err != nil {
		c.lists.release(n.lists)
		return nil, err
	}
	n.resolver = names.New(names.Settings{
		Names: spec.Names, Dial: n.dialServer, Allowed: n.mayLookUp,
		NoIPv4: len(spec.Addresses) > 0 && !n.four.IsValid(), NoIPv6: len(spec.Addresses) > 0 && !n.six.IsValid(),
	})
	c.join(n, pod)
	return n, nil
}

func (n *Network) parse(text string) (*egress.List, error) {
	l, err := n.cluster.lists.parse(text)
	if err == nil {
		n.lists = append(n.lists, text)
	}
	return l, err
}

// Close forgets the guest. Its connections are closed by then, or are not watched any more.
func (n *Network) Close() {
	n.mu.Lock()
	closed := n.closed
	n.closed = true
	clear(n.watches)
	clear(n.pins)
	n.mu.Unlock()
	if closed {
		return
	}
	n.cluster.leave(n)
	n.cluster.lists.release(n.lists)
}

// rules are those of the pod now. The caller holds the Cluster's lock.
func (n *Network) rules() (ingress, egress *rules) {
	if n.pod.known {
		return n.pod.ingress, n.pod.egress
	}
	return n.ingress, n.egress
}

// note counts a denial.
func (n *Network) note(target string, v egress.Verdict, incoming bool) {
	first := n.pod.denials.note(runtime.Denial{Target: target, Ingress: incoming, By: v.By, Audited: !v.Denied})
	if !first {
		return
	}
	select {
	case n.cluster.refused <- struct{}{}:
	default: // it has a value already
	}
}

// lists are the parsed lists of egress that Networks use, by their texts, as many guests have the
// same.
type lists struct {
	mu    sync.Mutex
	known map[string]*usedList
}

type usedList struct {
	list  *egress.List
	users int
}

func (ls *lists) parse(text string) (*egress.List, error) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if u := ls.known[text]; u != nil {
		u.users++
		return u.list, nil
	}
	l, err := egress.Parse(text)
	if err != nil {
		return nil, err
	}
	if ls.known == nil {
		ls.known = map[string]*usedList{}
	}
	ls.known[text] = &usedList{l, 1}
	return l, nil
}

func (ls *lists) release(texts []string) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	for _, text := range texts {
		if u := ls.known[text]; u != nil {
			if u.users--; u.users == 0 {
				delete(ls.known, text)
			}
		}
	}
}
