// Package visible makes names that a guest's makers chose fit to be shown in a line of a log or
// terminal.
package visible

import (
	"bytes"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxName is the most bytes that a name has when it is shown.
const MaxName = 128

const cutMark = "…"

// Name returns a name as it can be shown: cut, with control characters as escapes, and with bytes
// that are no UTF-8 replaced.
func Name(name []byte) string {
	if len(name) <= MaxName && !bytes.ContainsFunc(name, func(r rune) bool { return r < ' ' || r > '~' }) {
		return string(name)
	}
	var b strings.Builder
	fits := 0 // how much fits if a mark must follow
	for len(name) > 0 {
		r, n := utf8.DecodeRune(name)
		name = name[n:]
		shown := string(r)
		if !unicode.IsPrint(r) {
			shown = fmt.Sprintf(`\u{%x}`, r)
		}
		if b.Len()+len(shown) > MaxName {
			return b.String()[:fits] + cutMark
		}
		b.WriteString(shown)
		if b.Len() <= MaxName-len(cutMark) {
			fits = b.Len()
		}
	}
	return b.String()
}
