package translate

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	maxName  = 128     // bytes of one name of a function
	maxNames = 4 << 20 // of all together, with what encoding adds
	cutMark  = "…"
)

// Visible returns a name as it can be shown: see Info.Name.
func Visible(name string) string { return visible([]byte(name)) }

// visible returns a name as it can be shown: cut, with control characters as escapes, and with
// bytes that are no UTF-8 replaced.
func visible(name []byte) string {
	if len(name) <= maxName && !bytes.ContainsFunc(name, func(r rune) bool { return r < ' ' || r > '~' }) {
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
		if b.Len()+len(shown) > maxName {
			return b.String()[:fits] + cutMark
		}
		b.WriteString(shown)
		if b.Len() <= maxName-len(cutMark) {
			fits = b.Len()
		}
	}
	return b.String()
}

// nameTable has names of functions, encoded as Info has them: first the entries, each with a
// function's number and where its name ends, then the names.
type nameTable struct {
	entries, text []byte
	last          int64  // the function that was named last
	module        string // the module's own, as it can be shown
}

const nameEntry = 8

// add appends a name if there is room. It leaves out names that are not in the order of their
// functions.
func (t *nameTable) add(function uint32, name []byte) {
	if int64(function) < t.last || len(name) == 0 {
		return
	}
	shown := visible(name)
	if len(t.entries)+nameEntry+len(t.text)+len(shown) > maxNames {
		return
	}
	t.last = int64(function) + 1
	t.text = append(t.text, shown...)
	t.entries = binary.LittleEndian.AppendUint32(t.entries, function)
	t.entries = binary.LittleEndian.AppendUint32(t.entries, uint32(len(t.text)))
}

// custom reads a custom section if it has names. Errors in it concern neither the engine nor the
// host.
func (m *module) custom(r *reader) {
	defer func() {
		if err := recover(); err != nil {
			if _, ok := err.(stop); !ok {
				panic(err)
			}
		}
	}()
	if name := r.name(); string(name) != "name" {
		return
	}
	for r.more() {
		id := r.byte()
		sub := r.within(r.u32())
		if id == moduleName {
			m.names.module = visible(sub.name())
		}
		if id != functionNames {
			continue
		}
		for range sub.count("names") {
			i := sub.u32()
			m.names.add(i, sub.take(sub.u32()))
		}
	}
}

// What parts of a custom section of names are about.
const (
	moduleName    = 0
	functionNames = 1
)

// nameSection is a custom section with the name of a module.
func nameSection(name string) []byte {
	own := append(appendU32(nil, uint32(len(name))), name...)
	b := append([]byte{4}, "name"...)
	return append(appendU32(append(b, moduleName), uint32(len(own))), own...)
}
