package http

import (
	"strconv"
	"strings"
)

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }
func isDigit(c byte) bool  { return c >= '0' && c <= '9' }

// made reports whether all characters of a text are letters, digits or among others.
func made(text, others string) bool {
	for i := range len(text) {
		if c := text[i]; !isLetter(c) && !isDigit(c) && strings.IndexByte(others, c) < 0 {
			return false
		}
	}
	return true
}

// IsToken reports whether the text is a token of HTTP (RFC 9110, 5.6.2), as a method or the name of
// a field is.
func IsToken(text string) bool { return text != "" && made(text, "!#$%&'*+-.^_`|~") }

// isValue reports whether the bytes can be the value of a field (RFC 9110, 5.5).
func isValue(value []byte) bool {
	for _, c := range value {
		if c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// IsMethod reports whether the text can be the name of a method.
func IsMethod(text string) bool { return len(text) <= MaxText && IsToken(text) }

// IsPart reports whether the text can be a part of a URI: it is not empty, and has neither spaces
// nor control characters.
func IsPart(text string) bool {
	return text != "" && len(text) <= MaxText &&
		strings.IndexFunc(text, func(c rune) bool { return c <= ' ' || c == 0x7f }) < 0
}

// IsPath reports whether the text can be a path with a query. Besides what RFC 3986 has, it takes
// the brackets and the like that programs do not escape, and all characters beyond ASCII.
func IsPath(text string) bool { return IsPart(text) && !strings.ContainsAny(text, "<>`#") }

// IsScheme reports whether the text is a scheme (RFC 3986, 3.1).
func IsScheme(text string) bool {
	return text != "" && len(text) <= MaxText && isLetter(text[0]) && made(text, "+-.")
}

const (
	unreserved = "-._~"
	subDelims  = "!$&'()*+,;="
)

// IsAuthority reports whether the text is an authority with a host (RFC 3986, 3.2).
func IsAuthority(text string) bool {
	if len(text) > MaxText {
		return false
	}
	if i := strings.LastIndexByte(text, '@'); i >= 0 {
		if !made(text[:i], unreserved+subDelims+"%:") {
			return false
		}
		text = text[i+1:]
	}
	if i := strings.LastIndexByte(text, ':'); i > strings.LastIndexByte(text, ']') {
		if !isPort(text[i+1:]) {
			return false
		}
		text = text[:i]
	}
	if inside, ok := strings.CutPrefix(text, "["); ok {
		inside, ok = strings.CutSuffix(inside, "]")
		return ok && inside != "" && made(inside, unreserved+subDelims+":")
	}
	return text != "" && made(text, unreserved+subDelims+"%")
}

// isPort reports whether the text is a port, which may be empty.
func isPort(text string) bool {
	if text == "" {
		return true
	}
	_, err := strconv.ParseUint(text, 10, 16)
	return err == nil
}
