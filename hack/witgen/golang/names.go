package golang

import (
	"fmt"
	"slices"
	"strings"

	"github.com/krustlet-go/krustlet-wasi/hack/witgen/wit"
)

// initialisms are the words that Go writes in capital letters.
var initialisms = map[string]string{
	"cli": "CLI", "cpu": "CPU", "dns": "DNS", "eof": "EOF", "html": "HTML", "http": "HTTP", "https": "HTTPS", "iana": "IANA",
	"id": "ID", "io": "IO", "ip": "IP", "ipv4": "IPv4", "ipv6": "IPv6", "json": "JSON", "tcp": "TCP", "tls": "TLS",
	"tty": "TTY", "udp": "UDP", "uri": "URI", "url": "URL", "utc": "UTC", "utf8": "UTF8", "uuid": "UUID", "wasi": "WASI",
}

// exported returns a WIT name as an exported name of Go.
func exported(name string) string {
	var b strings.Builder
	for w := range strings.SplitSeq(name, "-") {
		lower := strings.ToLower(w)
		switch {
		case initialisms[lower] != "":
			b.WriteString(initialisms[lower])
		case w != lower:
			b.WriteString(w)
		default:
			b.WriteString(strings.ToUpper(w[:1]) + w[1:])
		}
	}
	return b.String()
}

// taken are names that a parameter may not have: those of Go, and those that generated code uses.
var taken = strings.Fields(`any async bool break byte canon case chan comparable const context continue ctx default defer else error
	fallthrough float32 float64 for func go goto if import int int16 int32 int64 int8 interface map package range return rune
	select string struct switch type typed uint16 uint32 uint64 uint8 uintptr var`)

// parameter returns a WIT name as the name of a parameter.
func parameter(name string) string {
	first, rest, _ := strings.Cut(name, "-")
	s := strings.ToLower(first)
	if rest != "" {
		s += exported(rest)
	}
	if slices.Contains(taken, s) {
		s += "Arg"
	}
	return s
}

// interfaceName returns what stands for an interface in names of Go: its name, or that of the
// package if it only says that it has types.
func interfaceName(i *wit.Interface) string {
	if i.Name == "types" {
		return exported(i.Package.Name)
	}
	return exported(i.Name)
}

// nameAll gives names to interfaces and types. Where several would have the same name, each gets
// that of its interface or package before it.
func (g *generator) nameAll() {
	interfaces, types := map[string]int{}, map[string]int{}
	for _, i := range g.interfaces() {
		interfaces[interfaceName(i)]++
		for _, d := range i.Types {
			types[exported(d.Name)]++
		}
	}
	for _, i := range g.interfaces() {
		name := interfaceName(i)
		if interfaces[name] > 1 {
			name = exported(i.Package.Name) + exported(i.Name)
		}
		g.interfaceNames[i] = name
		for _, d := range i.Types {
			of := exported(d.Name)
			if types[of] > 1 {
				of = name + of
			}
			g.typeNames[d] = of
			g.claim(of, d.Pos)
		}
	}
}

// claim takes a name of the generated package.
func (g *generator) claim(name string, pos wit.Pos) {
	if before, ok := g.claimed[name]; ok {
		g.fail(pos, "two things would be called %s in Go; the other is at %v", name, before)
	}
	g.claimed[name] = pos
}

// mangled returns a name for a type that is not named.
func (g *generator) mangled(t *wit.Type) string {
	if t == nil {
		return "None"
	}
	if t.Def != nil {
		return g.typeNames[t.Def]
	}
	var b strings.Builder
	switch t.Kind {
	case wit.FixedList:
		fmt.Fprintf(&b, "Array%d", t.Length)
	default:
		b.WriteString(exported(string(t.Kind)))
	}
	for _, a := range t.Args {
		b.WriteString(g.mangled(a))
	}
	return b.String()
}
