package names

import (
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

const (
	maxName  = 253 // without the last dot
	maxLabel = 63
	// maxWritten bounds a name as a guest writes it, in characters that DNS does not have.
	maxWritten = 4 * maxName
)

// international makes names of other characters those of DNS (IDNA 2008, as browsers do it).
var international = idna.New(idna.MapForLookup(), idna.BidiRule(), idna.StrictDomainName(false))

// canonical returns a name as servers and hosts files have it: in lower case and without its last
// dot. absolute reports whether it had one, so that no search domain may be added to it.
func canonical(name string) (canon string, absolute, ok bool) {
	if len(name) > maxWritten {
		return "", false, false
	}
	if !isASCII(name) {
		if !utf8.ValidString(name) {
			return "", false, false
		}
		converted, err := international.ToASCII(name)
		if err != nil {
			return "", false, false
		}
		name = converted
	}
	name, absolute = strings.CutSuffix(name, ".")
	name = lower(name)
	return name, absolute, isName(name)
}

// Canonical returns a name as Settings.Allowed is asked about it: in lower case, in the characters
// of DNS, without its last dot. ok is false if it is no name of a host.
func Canonical(name string) (canon string, ok bool) {
	canon, _, ok = canonical(name)
	return canon, ok
}

// isName reports whether a name in lower case may be that of a host. Underscores are in no name of
// a host by the book, and in many in use.
func isName(name string) bool {
	if name == "" || len(name) > maxName {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > maxLabel || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for i := range len(label) {
			if c := label[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' {
				return false
			}
		}
	}
	return true
}

// candidates are the names that a name may mean, in the order in which they are looked up: with its
// search domains, and as it is. As it is comes first if it has ndots dots or more, otherwise last.
func candidates(name string, absolute bool, search []string, ndots int) []string {
	if absolute {
		return sendable(nil, name)
	}
	var list []string
	early := strings.Count(name, ".") >= ndots
	if early {
		list = sendable(list, name)
	}
	for _, domain := range search {
		if domain != "" {
			list = sendable(list, name+"."+domain)
		} else if !early { // the root: the name as it is
			list, early = sendable(list, name), true
		}
	}
	if !early {
		list = sendable(list, name)
	}
	return list
}

// sendable adds a name to a list if it may exist: no domain at the root has a name of digits only,
// so what a guest took for an address goes to no server.
func sendable(list []string, name string) []string {
	last := name[strings.LastIndexByte(name, '.')+1:]
	if len(name) > maxName || strings.Trim(last, "0123456789") == "" {
		return list
	}
	return append(list, name)
}

// isLocalhost reports whether a name means the guest itself, whatever servers say (RFC 6761).
func isLocalhost(name string) bool {
	return name == "localhost" || strings.HasSuffix(name, ".localhost")
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// lower turns the letters of ASCII to lower case, and leaves all else as it is.
func lower(s string) string {
	for i := range len(s) {
		if c := s[i]; c >= 'A' && c <= 'Z' {
			b := []byte(s)
			for j := i; j < len(b); j++ {
				if c := b[j]; c >= 'A' && c <= 'Z' {
					b[j] = c - 'A' + 'a'
				}
			}
			return string(b)
		}
	}
	return s
}
