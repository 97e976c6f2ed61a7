package egress

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

type kind uint8

// The kinds of entries.
const (
	everything kind = iota
	cluster
	name
	wildcard
	addresses
)

// entry is an entry of a list.
type entry struct {
	kind   kind
	name   string       // of a name, or behind the `*.` of a wildcard
	prefix netip.Prefix // of addresses
	port   uint16       // 0 means all
}

var (
	errURL      = errors.New("write a host without scheme, path and user, such as example.com:443")
	errWildcard = errors.New("`*` stands alone or for the first labels of a name, as in *.example.com")
	errBracket  = errors.New("write an IPv6 address with a port as [2001:db8::7]:443")
)

func parseEntry(word string) (entry, error) {
	if strings.Contains(word, "://") || strings.Contains(word, "@") {
		return entry{}, errURL
	}
	target, port, err := splitPort(word)
	if err != nil {
		return entry{}, err
	}
	e, err := parseTarget(target)
	e.port = port
	return e, err
}

// splitPort takes the port from the end of an entry, and the brackets of an IPv6 address.
func splitPort(word string) (target string, port uint16, err error) {
	target, text, found := word, "", false
	switch inside, behind, closed := strings.Cut(strings.TrimPrefix(word, "["), "]"); {
	case strings.HasPrefix(word, "["):
		if !closed || !strings.Contains(inside, ":") || behind != "" && behind[0] != ':' {
			return "", 0, errBracket
		}
		target, text, found = inside, strings.TrimPrefix(behind, ":"), behind != ""
	case strings.Count(word, ":") == 1: // more are an IPv6 address
		target, text, found = strings.Cut(word, ":")
	}
	if !found {
		return target, 0, nil
	}
	number, err := strconv.ParseUint(text, 10, 16)
	if err != nil || number == 0 {
		return "", 0, errors.New("a port is a number from 1 to 65535")
	}
	return target, uint16(number), nil
}

func parseTarget(target string) (entry, error) {
	switch below, isWildcard := strings.CutPrefix(target, "*."); {
	case target == "*":
		return entry{kind: everything}, nil
	case target == "cluster":
		return entry{kind: cluster}, nil
	case isWildcard:
		text, err := Canonical(below)
		return entry{kind: wildcard, name: text}, err
	case strings.Contains(target, "*"):
		return entry{}, errWildcard
	case strings.Contains(target, "/"):
		return parseRange(target)
	}
	if a, err := netip.ParseAddr(target); err == nil {
		if a.Zone() != "" {
			return entry{}, errors.New("write the address without a zone")
		}
		a = a.Unmap()
		return entry{kind: addresses, prefix: netip.PrefixFrom(a, a.BitLen())}, nil
	}
	if strings.Contains(target, ":") {
		return entry{}, errors.New("this is neither an IPv6 address nor a name")
	}
	text, err := Canonical(target)
	return entry{kind: name, name: text}, err
}

func parseRange(target string) (entry, error) {
	before, _, _ := strings.Cut(target, "/")
	if _, err := netip.ParseAddr(before); err != nil {
		return entry{}, errURL
	}
	p, err := netip.ParsePrefix(target)
	if err != nil {
		return entry{}, errors.New("a range of addresses is written as 192.0.2.0/24 or 2001:db8::/32")
	}
	if p != p.Masked() {
		return entry{}, fmt.Errorf("bits are set behind the range's length: write %s", p.Masked())
	}
	if p.Addr().Is4In6() { // so it has at least mappedBits
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-mappedBits)
	}
	return entry{kind: addresses, prefix: p}, nil
}

const mappedBits = 96 // of an IPv4-mapped address, before the IPv4 address
