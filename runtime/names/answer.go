package names

import (
	"errors"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

const (
	maxAddresses = 64   // of one family of a name; what comes after them is left out
	maxRecords   = 1024 // of an answer; what comes after them is left out
	maxAliases   = 16   // from a name to the one that has the addresses

	// maxHeld is how long an answer may be kept. Servers may say more, but a program that runs for
	// months should notice within minutes that a name has moved.
	maxHeld = 5 * time.Minute
	// maxMissed is the same for answers that there is nothing: a Service that has just been made
	// should be found soon.
	maxMissed = 30 * time.Second
)

// reply is what a server says to a question.
type reply struct {
	rcode     dnsmessage.RCode
	addresses []netip.Addr  // at most maxAddresses, all of the family that was asked for
	held      time.Duration // how long it may be kept; 0 means that it is for this question only
	truncated bool
}

// Errors of messages.
var (
	// errForeign says that a message is not the answer to the question: another may still come.
	errForeign = errors.New("this is no answer to the question")
	errBroken  = errors.New("the answer breaks the rules of DNS")
	errAliases = errors.New("the name is an alias of an alias, and so on")
	errLame    = errors.New("the server answers for no such domain")
)

// readAnswer reads the answer to a question that had this random number. The message may be
// anything. After an error, the reply is of no use.
func readAnswer(message []byte, id uint16, q question) (reply, error) {
	var p dnsmessage.Parser
	h, err := p.Start(message)
	if err != nil || h.ID != id || !h.Response || h.OpCode != 0 {
		return reply{}, errForeign
	}
	asked, err := p.Question()
	if err != nil || asked.Type != q.family || asked.Class != dnsmessage.ClassINET || nameOf(asked.Name) != q.name {
		return reply{}, errForeign
	}
	if _, err := p.Question(); !errors.Is(err, dnsmessage.ErrSectionDone) {
		return reply{}, errBroken
	}
	found, err := readRecords(&p, q.family)
	if err != nil {
		return reply{}, err
	}
	r := reply{rcode: h.RCode, truncated: h.Truncated}
	missed, err := readRest(&p, &r)
	if err != nil {
		return reply{}, err
	}
	if err := r.take(found, q.name); err != nil {
		return reply{}, err
	}
	switch {
	case r.rcode == dnsmessage.RCodeNameError || r.rcode == dnsmessage.RCodeSuccess && len(r.addresses) == 0:
		r.addresses, r.held = nil, missed
		if r.rcode == dnsmessage.RCodeSuccess && !h.Authoritative && !h.RecursionAvailable && !r.truncated {
			return reply{}, errLame // it refers to other servers, which is an answer for servers only
		}
	case r.rcode != dnsmessage.RCodeSuccess:
		r.addresses, r.held = nil, 0
	}
	if r.truncated {
		r.held = 0
	}
	return r, nil
}

// records are those of an answer that lead from a name to its addresses.
type records struct {
	aliases   map[string]alias
	addresses []addressRecord
}

type alias struct {
	to  string
	ttl uint32
}

type addressRecord struct {
	owner   string
	address netip.Addr
	ttl     uint32
}

// readRecords reads the answer's first section.
func readRecords(p *dnsmessage.Parser, family dnsmessage.Type) (records, error) {
	var found records
	for n := 0; ; n++ {
		h, err := p.AnswerHeader()
		switch {
		case errors.Is(err, dnsmessage.ErrSectionDone):
			return found, nil
		case err != nil:
			return found, errBroken
		case n >= maxRecords || h.Class != dnsmessage.ClassINET || h.Type != family && h.Type != dnsmessage.TypeCNAME:
			err = p.SkipAnswer()
		case h.Type == dnsmessage.TypeCNAME:
			var r dnsmessage.CNAMEResource
			if r, err = p.CNAMEResource(); err == nil {
				found.alias(nameOf(h.Name), alias{nameOf(r.CNAME), h.TTL})
			}
		default:
			var address netip.Addr
			address, err = readAddress(p, h)
			if address.IsValid() {
				found.addresses = append(found.addresses, addressRecord{nameOf(h.Name), address, h.TTL})
			}
		}
		if err != nil {
			return found, errBroken
		}
	}
}

func (f *records) alias(name string, a alias) {
	if f.aliases == nil {
		f.aliases = map[string]alias{}
	}
	if _, ok := f.aliases[name]; !ok {
		f.aliases[name] = a
	}
}

// readAddress returns the address of a record. It is the zero Addr for one that is of the other
// family in truth: nothing that takes it for an IPv6 address would know what to do with it.
func readAddress(p *dnsmessage.Parser, h dnsmessage.ResourceHeader) (netip.Addr, error) {
	if h.Type == dnsmessage.TypeA {
		r, err := p.AResource()
		if err != nil || h.Length != 4 {
			return netip.Addr{}, errBroken
		}
		return netip.AddrFrom4(r.A), nil
	}
	r, err := p.AAAAResource()
	if err != nil || h.Length != 16 {
		return netip.Addr{}, errBroken
	}
	if a := netip.AddrFrom16(r.AAAA); !a.Is4In6() {
		return a, nil
	}
	return netip.Addr{}, nil
}

// readRest reads the other sections. It returns how long a server says that it is sure that there
// is nothing, and sets the whole response code.
func readRest(p *dnsmessage.Parser, r *reply) (missed time.Duration, err error) {
	for {
		h, err := p.AuthorityHeader()
		if errors.Is(err, dnsmessage.ErrSectionDone) {
			break
		}
		if err == nil && h.Type == dnsmessage.TypeSOA {
			var soa dnsmessage.SOAResource
			if soa, err = p.SOAResource(); err == nil {
				missed = held(min(h.TTL, soa.MinTTL), maxMissed)
			}
		} else if err == nil {
			err = p.SkipAuthority()
		}
		if err != nil {
			return 0, errBroken
		}
	}
	for {
		h, err := p.AdditionalHeader()
		if errors.Is(err, dnsmessage.ErrSectionDone) {
			return missed, nil
		}
		if err == nil {
			if h.Type == dnsmessage.TypeOPT {
				r.rcode = h.ExtendedRCode(r.rcode)
			}
			err = p.SkipAdditional()
		}
		if err != nil {
			return 0, errBroken
		}
	}
}

// take follows the aliases of a name to its addresses. Servers do that work for those who ask, so
// if their answer does not lead to an address, there is none.
func (r *reply) take(found records, name string) error {
	ttl := ^uint32(0)
	for n := 0; ; n++ {
		a, ok := found.aliases[name]
		if !ok {
			break
		}
		if n == maxAliases {
			return errAliases
		}
		name, ttl = a.to, min(ttl, a.ttl)
	}
	for _, record := range found.addresses {
		if record.owner == name && len(r.addresses) < maxAddresses && !slices.Contains(r.addresses, record.address) {
			r.addresses, ttl = append(r.addresses, record.address), min(ttl, record.ttl)
		}
	}
	r.held = held(ttl, maxHeld)
	return nil
}

// held is a time to live, bounded. A number with the highest bit set counts as 0 (RFC 2181).
func held(ttl uint32, most time.Duration) time.Duration {
	if ttl > 1<<31-1 {
		return 0
	}
	return min(time.Duration(ttl)*time.Second, most)
}

// nameOf is a name of a message as canonical has it.
func nameOf(n dnsmessage.Name) string {
	b := n.Data[:n.Length]
	if len(b) > 0 {
		b = b[:len(b)-1]
	}
	return lower(string(b))
}

// rcodes are the words for response codes.
var rcodes = map[dnsmessage.RCode]string{
	dnsmessage.RCodeSuccess: "NOERROR", dnsmessage.RCodeFormatError: "FORMERR", dnsmessage.RCodeServerFailure: "SERVFAIL",
	dnsmessage.RCodeNameError: "NXDOMAIN", dnsmessage.RCodeNotImplemented: "NOTIMP", dnsmessage.RCodeRefused: "REFUSED",
	rcodeBadVersion: "BADVERS",
}

// rcodeBadVersion is the answer of a server that knows another version of EDNS.
const rcodeBadVersion dnsmessage.RCode = 16

func rcodeName(r dnsmessage.RCode) string {
	if name, ok := rcodes[r]; ok {
		return name
	}
	return "RCODE" + strconv.Itoa(int(r))
}
