package egress

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/gaissmai/bart"
)

// The bounds of a list.
const (
	MaxSize    = 32 << 10 // bytes
	MaxEntries = 1024
)

// List is a parsed list. It does not change, and may be used from any goroutine.
type List struct {
	everything ports // of `*`
	cluster    ports // of `cluster`
	names      map[string]ports
	below      map[string]ports // of wildcards, by the name behind `*.`
	depth      int              // the largest number of labels of a key of below
	// addresses has for each range the ports of all ranges that contain it, and its own.
	addresses bart.Table[ports]
}

// ports are those of entries for the same target. The zero value has none.
type ports struct {
	all  bool
	some []uint16 // ascending
}

// has reports whether the port is one of them. Port 0 stands for any.
func (p ports) has(port uint16) bool {
	if p.all {
		return true
	}
	if port == 0 {
		return len(p.some) > 0
	}
	_, found := slices.BinarySearch(p.some, port)
	return found
}

// with is p with a port, or with all ports if it is 0.
func (p ports) with(port uint16) ports {
	if p.all || port == 0 {
		return ports{all: true}
	}
	at, found := slices.BinarySearch(p.some, port)
	if found {
		return p
	}
	return ports{some: slices.Insert(slices.Clone(p.some), at, port)}
}

// and is the union of both.
func (p ports) and(more ports) ports {
	switch {
	case p.all || more.all:
		return ports{all: true}
	case len(p.some) == 0:
		return more
	case len(more.some) == 0:
		return p
	}
	both := slices.Concat(p.some, more.some)
	slices.Sort(both)
	return ports{some: slices.Compact(both)}
}

// Parse reads a list. The error says which entry is wrong, and how to write it.
func Parse(text string) (*List, error) {
	if len(text) > MaxSize {
		return nil, fmt.Errorf("the list has %d bytes, and %d are the most: use ranges of addresses, or wildcards", len(text), MaxSize)
	}
	l := &List{names: map[string]ports{}, below: map[string]ports{}}
	n := 0
	for word := range strings.FieldsFuncSeq(text, between) {
		if n++; n > MaxEntries {
			return nil, fmt.Errorf("the list has more than %d entries: use ranges of addresses, or wildcards", MaxEntries)
		}
		e, err := parseEntry(word)
		if err != nil {
			return nil, fmt.Errorf("entry %d%s: %w", n, quoted(word), err)
		}
		l.add(e)
	}
	l.fold()
	return l, nil
}

// between reports whether a character ends an entry.
func between(r rune) bool { return r == ',' || r == ' ' || r == '\t' || r == '\n' || r == '\r' }

// quoted is an entry as a message shows it. A URL may have a password in it, so it is not shown.
func quoted(word string) string {
	const most = 64
	switch {
	case strings.Contains(word, "://") || strings.Contains(word, "@"):
		return ""
	case len(word) > most:
		return fmt.Sprintf(", %q and so on", word[:most])
	}
	return fmt.Sprintf(", %q", word)
}

func (l *List) add(e entry) {
	switch e.kind {
	case everything:
		l.everything = l.everything.with(e.port)
	case cluster:
		l.cluster = l.cluster.with(e.port)
	case name:
		l.names[e.name] = l.names[e.name].with(e.port)
	case wildcard:
		l.below[e.name] = l.below[e.name].with(e.port)
		l.depth = max(l.depth, strings.Count(e.name, ".")+1)
	case addresses:
		l.addresses.Modify(e.prefix, func(p ports, _ bool) (ports, bool) { return p.with(e.port), false })
	}
}

// fold gives each range the ports of the ranges that contain it, so that one search finds all. It
// begins with the largest ranges.
func (l *List) fold() {
	var all []netip.Prefix
	for prefix := range l.addresses.All() {
		all = append(all, prefix)
	}
	slices.SortFunc(all, func(a, b netip.Prefix) int { return a.Bits() - b.Bits() })
	for _, prefix := range all {
		if prefix.Bits() == 0 {
			continue
		}
		above, err := prefix.Addr().Prefix(prefix.Bits() - 1)
		if err != nil {
			continue // it is not: the length is one of the address
		}
		if more, found := l.addresses.LookupPrefix(above); found {
			l.addresses.Modify(prefix, func(p ports, _ bool) (ports, bool) { return p.and(more), false })
		}
	}
}

// Everything reports whether the list allows everything, at all ports.
func (l *List) Everything() bool { return l.everything.all }

// Name reports whether the list allows a name, which is in the form of Canonical, at a port. Port 0
// means any. domain is the cluster's, or empty.
func (l *List) Name(name string, port uint16, domain string) bool {
	return l.everything.has(port) || l.named(name, port, domain) || l.cluster.has(port) && isBelow(name, domain)
}

// named reports whether the list has the name, or a wildcard above it. A Service's name may be in
// the list without the cluster's domain.
func (l *List) named(name string, port uint16, domain string) bool {
	return l.spelled(name, port) || isBelow(name, domain) && l.isService(name[:len(name)-len(domain)-1], port)
}

// isService reports whether the list has a name that was below the cluster's domain, and is one of
// a Service: db.ns.svc.
func (l *List) isService(short string, port uint16) bool {
	return strings.HasSuffix(short, ".svc") && l.spelled(short, port)
}

// spelled reports whether the list has the name as it is, or a wildcard above it.
func (l *List) spelled(name string, port uint16) bool {
	if p, found := l.names[name]; found && p.has(port) {
		return true
	}
	at := len(name)
	for range l.depth {
		if at = strings.LastIndexByte(name[:at], '.'); at <= 0 {
			return false
		}
		if p, found := l.below[name[at+1:]]; found && p.has(port) {
			return true
		}
	}
	return false
}

func isBelow(name, domain string) bool {
	rest, found := strings.CutSuffix(name, domain)
	return found && domain != "" && len(rest) > 1 && rest[len(rest)-1] == '.'
}

// address reports whether the list allows an address, which is not an IPv4-mapped one, by itself or
// as one of the cluster.
func (l *List) address(a netip.AddrPort, sets Sets) bool {
	if l.everything.has(a.Port()) {
		return true
	}
	if p, found := l.addresses.Lookup(a.Addr()); found && p.has(a.Port()) {
		return true
	}
	return l.cluster.has(a.Port()) && sets.Cluster(a.Addr())
}
