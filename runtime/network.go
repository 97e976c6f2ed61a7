package runtime

import (
	"net/netip"
	"time"
)

// Protocol is a protocol of the network that guests use.
type Protocol uint8

// The protocols.
const (
	TCP Protocol = iota
	UDP
)

func (p Protocol) String() string {
	if p == UDP {
		return "UDP"
	}
	return "TCP"
}

// Network is what a guest has of the network when it starts. With the zero value, it can connect to
// nothing and look up no name.
type Network struct {
	// Addresses are those of the guest's pod, at most one of each family. Without any, the guest
	// has those of the machine.
	Addresses []netip.Addr
	// Own says that the Addresses belong to the pod alone. The guest may then bind to all their
	// ports, and its loopback addresses mean them.
	Own bool
	// Ports are those that the pod's spec names. Without Own, a guest can bind to no others.
	Ports []Port
	// Egress is where the guest may connect to.
	Egress Egress
	// Names says how names are looked up.
	Names Names
	// MaxRequests bounds the HTTP requests of the guest that are under way; 0 means the host's own
	// bound.
	MaxRequests int
	// Roots are files of the host with certificates of authorities (PEM). The guest's HTTPS
	// requests trust them in addition to those of the node.
	Roots []string
	// Rules are what the cluster's NetworkPolicies mean for the pod at the start.
	Rules PodRules
}

// Port is a port of a protocol.
type Port struct {
	Protocol Protocol
	Number   uint16
}

// Egress says where a guest may connect to. Package runtime/egress has the form of the lists.
type Egress struct {
	// Limits are the ceilings: that of the node, then that of the pod's namespace if it has one. All
	// must allow a target. None means that there is no ceiling, as for a developer's own run. With
	// any, what is the node itself, and what no pod is to reach, stays closed unless the first of
	// them names it: see runtime/egress.
	Limits []string
	// Allow is the list that the pod chose, or the node's default.
	Allow string
	// Audit says that what Allow does not allow is counted and told, but not refused. Limits are
	// not audited: what they deny is refused.
	Audit bool
	// Domain is the cluster's domain, such as cluster.local. The word `cluster` in a list allows to
	// look up the names below it.
	Domain string
}

// Names says how names are looked up: as resolv.conf(5) and hosts(5) do.
type Names struct {
	Servers []netip.AddrPort
	// Chosen says that the pod has chosen some of the Servers. Then names do not count for the
	// ceilings of egress, as the pod's own servers may say that a name has any address.
	Chosen bool
	// PodServers are those of Servers that the pod has chosen. They are asked only if the guest may
	// connect to them. The others are asked for every guest.
	PodServers []netip.AddrPort
	Search     []string
	Ndots      int // 0 means 0, where resolv.conf has 1 by default
	// Timeout is for one question to one server, and Attempts how often each is asked; 0 means what
	// resolv.conf has by default.
	Timeout  time.Duration
	Attempts int
	Rotate   bool
	TCP      bool // servers are asked over TCP only: option use-vc
	// Hosts is the content of the guest's hosts file.
	Hosts []Host
}

// Host is a line of a hosts file.
type Host struct {
	Address netip.Addr
	Names   []string
}

// NetworkUpdate is what changes for the network of all guests of a node. Updates are applied in
// their order.
type NetworkUpdate struct {
	// Reset says that the update has everything: what it does not have is forgotten.
	Reset    bool
	Sets     []AddressSet
	Services []Service
	Pods     []PodRules
}

// AddressSet is a named set of addresses, which rules refer to. So what a label selects is told
// once for all pods.
type AddressSet struct {
	Name string
	// Reset says that Add has all addresses of the set. A set that has none any more is forgotten.
	Reset       bool
	Add, Remove []netip.Prefix
}

// ClusterSet is the set of the addresses of Services and pods: the word `cluster` of lists of
// egress means it.
const ClusterSet = "cluster"

// NodeSet is the set of the node's own addresses, each as a range of its own, and of the larger
// ranges from which the node's pods have theirs: all addresses of these lead to the machine, and
// what no pod has (PodRules.Addresses) is the node.
const NodeSet = "node"

// Service is a Service of Kubernetes, as guests of this node are to reach it.
type Service struct {
	Name      string // namespace/name
	Addresses []netip.Addr
	Ports     []ServicePort // none means that the Service is gone
	// Affinity is how long connections of a guest's pod go to the same endpoint; 0 means that each
	// may go to another.
	Affinity time.Duration
}

// ServicePort is a port of a Service.
type ServicePort struct {
	Port
	// Endpoints are those that a guest of this node may be sent to.
	Endpoints []netip.AddrPort
}

// PodRules are what the cluster's NetworkPolicies mean for a pod.
type PodRules struct {
	Pod string // its UID
	// Gone says that the pod is no more, and its rules are to be forgotten.
	Gone bool
	// Addresses are the pod's own, if no other pod has them. With them, connections between two pods
	// of a node are refused at once if the rules of either forbid them.
	Addresses []netip.Addr
	// Ingress and Egress are nil if no policy is about connections to the pod, or from it: then all
	// are allowed. Otherwise those are allowed that a rule allows.
	Ingress, Egress *Rules
}

// Rules allow what at least one of them allows.
type Rules struct{ List []Rule }

// Rule allows connections with other ends, at ports.
type Rule struct {
	// Any says that all addresses are meant. Otherwise they are those of the Sets and the Blocks.
	Any    bool
	Sets   []string
	Blocks []Block
	// Ports are the ports of the connection's target; none means all.
	Ports []PortRange
}

// Block is a range of addresses, without some.
type Block struct {
	Prefix netip.Prefix
	Except []netip.Prefix
}

// PortRange is a range of ports, with its last one.
type PortRange struct {
	Protocol    Protocol
	First, Last uint16
}

// Denial is an attempt of a guest that was refused, or that would have been with Egress.Audit.
type Denial struct {
	// Target is a name with a port, an address with a port, or a name; or `others`, if there are
	// too many. It has no other part of what the guest wrote, and at most 300 bytes.
	Target  string
	Ingress bool // it is an attempt to connect to the guest
	By      Decider
	Audited bool // it was not refused
	Times   int64
}

// Decider is what refuses an attempt.
type Decider uint8

// The deciders.
const (
	ByEgress Decider = iota // Egress.Allow
	ByLimit                 // Egress.Limits
	ByPolicy                // a NetworkPolicy
)

// PodDenial is a Denial of a guest of a pod.
type PodDenial struct {
	Pod string // its UID
	Denial
}
