package network

import (
	"cmp"
	"slices"

	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// span is a range of ports, with its last one.
type span struct{ first, last uint16 }

// ports are ports of both protocols. The zero value has none.
type ports struct {
	all      bool
	tcp, udp []span // ascending; they neither overlap nor touch
}

// portsOf are the ports of a rule.
func portsOf(list []runtime.PortRange) ports {
	if len(list) == 0 {
		return ports{all: true}
	}
	var p ports
	for _, r := range list {
		switch {
		case r.First > r.Last:
		case r.Protocol == runtime.TCP:
			p.tcp = append(p.tcp, span{r.First, r.Last})
		case r.Protocol == runtime.UDP:
			p.udp = append(p.udp, span{r.First, r.Last})
		}
	}
	p.tcp, p.udp = merged(p.tcp), merged(p.udp)
	return p
}

// merged sorts spans, and makes one of those that overlap or touch. It changes the list.
func merged(list []span) []span {
	slices.SortFunc(list, func(a, b span) int { return cmp.Compare(a.first, b.first) })
	out := list[:0]
	for _, s := range list {
		if n := len(out); n > 0 && int(s.first) <= int(out[n-1].last)+1 {
			out[n-1].last = max(out[n-1].last, s.last)
			continue
		}
		out = append(out, s)
	}
	return out
}

// and is the union of both.
func (p ports) and(more ports) ports {
	switch {
	case p.all || more.all:
		return ports{all: true}
	case len(more.tcp)+len(more.udp) == 0:
		return p
	case len(p.tcp)+len(p.udp) == 0:
		return more
	}
	return ports{tcp: merged(slices.Concat(p.tcp, more.tcp)), udp: merged(slices.Concat(p.udp, more.udp))}
}

func (p ports) has(protocol runtime.Protocol, port uint16) bool {
	if p.all {
		return true
	}
	list := p.tcp
	if protocol == runtime.UDP {
		list = p.udp
	}
	at, _ := slices.BinarySearchFunc(list, port, func(s span, port uint16) int { return cmp.Compare(s.last, port) })
	return at < len(list) && list[at].first <= port
}
