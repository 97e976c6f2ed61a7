// Package egress decides where a guest may connect to: it parses lists of egress, and decides by
// them on names and addresses. It is pure: it looks up nothing, and knows no time.
//
// # A list
//
// A list is a text. Commas or white space are between its entries:
//
//	api.example.com       the name, at all ports
//	*.example.com         all names below it, at any depth, but not example.com itself
//	192.0.2.7, 2001:db8::7           an address
//	192.0.2.0/24, 2001:db8::/32      a range of addresses
//	cluster               addresses of Services and pods, and names below the cluster's domain
//	*                     everything
//
// Each may have a port at its end: api.example.com:443, 192.0.2.0/24:5432, cluster:53, *:443. An
// IPv6 address or range is in brackets then: [2001:db8::7]:443, [2001:db8::/32]:443. An entry is
// for TCP and UDP. An empty list allows nothing.
//
// Names are compared in the form that is on the wire: small letters, Punycode, no dot at the end.
// An entry that ends in .svc also stands for the name with the cluster's domain behind it:
// kubernetes.default.svc for kubernetes.default.svc.cluster.local.
//
// # What is decided
//
// A name may be looked up if a list has it, or a wildcard above it, or `*`; for a lookup any port
// is enough. An address may be connected to if a list has it, or its range, or `cluster` and it is
// of the cluster, or `*`; or if a name that the list has was found to have this address. The caller
// says which names were found to have it.
//
// # Ceilings
//
// If there are ceilings (runtime.Egress.Limits), each of them must allow what the guest's own list
// allows. Then some addresses are closed, whatever the lists say otherwise: loopback, link-local,
// unspecified, multicast and broadcast addresses, those where clouds serve credentials to a machine
// (metadata), and the node's own. So are IPv6 addresses that stand for one of them: IPv4-mapped,
// IPv4-compatible and IPv4-translated addresses, NAT64, 6to4, Teredo, ISATAP. Only the first
// ceiling, the node's, opens them: by an entry that is such an address, or a range of only such
// addresses. A larger range, `*` and names do not.
//
// # Bounds
//
// A list has at most MaxSize bytes and MaxEntries entries. A decision takes less than 1 µs with so
// many.
package egress
