package egress

import (
	"errors"
	"strings"

	"golang.org/x/net/idna"
)

const (
	maxName  = 253 // bytes of a name, without the dot at its end: RFC 1035, 2.3.4
	maxLabel = 63
	// maxWritten bounds a name before it is converted. A letter has up to 4 bytes.
	maxWritten = 4 * maxName
)

// ErrName is the error of Canonical.
var ErrName = errors.New("a name has letters, digits, hyphens and underscores, with dots between its labels of at most 63 bytes, and is no number")

// profile converts names as browsers do. It leaves it to Canonical which ASCII letters a name may
// have, because names of DNS records may have underscores, and hyphens where IDNA has none
// (r3---sn.example.com).
var profile = idna.New(idna.MapForLookup(), idna.BidiRule(), idna.StrictDomainName(false), idna.CheckHyphens(false))

// Canonical is a name in the form in which names are compared: small letters, Punycode, no dot at
// the end. The error is ErrName. A text whose last label is a number is no name, so that no program
// takes it for an IPv4 address (192.0.2.1, but also 0300.2.1 and 0xc0000201).
func Canonical(text string) (string, error) {
	if len(text) > maxWritten {
		return "", ErrName
	}
	if !isPlain(text) {
		converted, err := profile.ToASCII(text)
		if err != nil {
			return "", ErrName
		}
		text = converted
	}
	text = strings.TrimSuffix(text, ".")
	if len(text) > maxName || !isName(text) {
		return "", ErrName
	}
	return text, nil
}

// isPlain reports whether a name needs no conversion.
func isPlain(text string) bool {
	for i := range len(text) {
		c := text[i]
		if c >= 0x80 || 'A' <= c && c <= 'Z' {
			return false
		}
		if c == '-' && strings.HasPrefix(text[i:], "--") {
			return false // Punycode, perhaps a wrong one
		}
	}
	return true
}

func isName(text string) bool {
	label := ""
	for label = range strings.SplitSeq(text, ".") {
		if label == "" || len(label) > maxLabel {
			return false
		}
		for i := range len(label) {
			if c := label[i]; c != '-' && c != '_' && (c < '0' || c > '9') && (c < 'a' || c > 'z') {
				return false
			}
		}
	}
	return !isNumber(label)
}

// isNumber reports whether inet_aton(3) could read a label as a number.
func isNumber(label string) bool {
	digits := "0123456789"
	if hex, found := strings.CutPrefix(label, "0x"); found {
		label, digits = hex, "0123456789abcdef"
	}
	return strings.Trim(label, digits) == ""
}
