package binary

import (
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/krustlet-go/krustlet-wasi/runtime/leb128"
)

// reader reads the binary format. Its offsets are the file's. If something cannot be read, fail
// panics with a stop.
type reader struct {
	b      []byte // the file, up to where this reader may read
	at     int
	base   int // offset of b[0] in what errors are about
	doing  string
	counts *counts
	file   *coreModules // of the file, if that is a component
}

// counts is how much of everything has been read.
type counts struct{ definitions, items, components, modules, customs int }

func newReader(b []byte, base int, doing string, n *counts) *reader {
	r := &reader{b: b, base: base, doing: doing, counts: n}
	r.bound(0, "bytes", len(b), maxBytes)
	return r
}

func (r *reader) refuse(kind error, at int, what string) {
	panic(stop{&Error{At: r.base + at, Kind: kind, What: what, doing: r.doing}})
}

func (r *reader) fail(at int, format string, args ...any) {
	r.refuse(ErrMalformed, at, fmt.Sprintf(format, args...))
}

func (r *reader) unsupported(at int, format string, args ...any) {
	r.refuse(ErrUnsupported, at, fmt.Sprintf(format, args...))
}

// bound refuses a file that has more of something than it may have.
func (r *reader) bound(at int, what string, count, most int) {
	if count > most {
		r.unsupported(at, "%d %s, at most %d may be", count, what, most)
	}
}

func (r *reader) more() bool { return r.at < len(r.b) }

func (r *reader) byte() byte {
	if !r.more() {
		r.fail(r.at, "it ends too early")
	}
	r.at++
	return r.b[r.at-1]
}

// peek returns the next byte, and leaves it to be read.
func (r *reader) peek() byte {
	b := r.byte()
	r.at--
	return b
}

func (r *reader) take(n uint32) []byte {
	if uint64(n) > uint64(len(r.b)-r.at) {
		r.fail(r.at, "%d bytes must follow, and there are %d", n, len(r.b)-r.at)
	}
	r.at += int(n)
	return r.b[r.at-int(n) : r.at : r.at]
}

// within returns a reader of the next n bytes, and skips them in r.
func (r *reader) within(n uint32) *reader {
	start := r.at
	r.take(n)
	inner := *r
	inner.b, inner.at = r.b[:r.at], start
	return &inner
}

func (r *reader) u32() uint32 { return uint32(r.unsigned(32)) }

func (r *reader) unsigned(width int) uint64 {
	v, n := leb128.Unsigned(r.b[r.at:], width)
	r.number(n, width)
	return v
}

// s33 reads a type's number if it is not negative, else the byte of a type.
func (r *reader) s33() int64 { return r.signed(33) }

func (r *reader) signed(width int) int64 {
	v, n := leb128.Signed(r.b[r.at:], width)
	r.number(n, width)
	return v
}

func (r *reader) number(n, width int) {
	switch n {
	case 0:
		r.fail(len(r.b), "it ends within a number")
	case leb128.TooLong:
		r.fail(r.at, "a number is longer than %d bits", width)
	}
	r.at += n
}

// name reads UTF-8 with its length before it.
func (r *reader) name() string {
	at := r.at
	name := r.take(r.u32())
	r.bound(at, "bytes of a name", len(name), maxName)
	if !utf8.Valid(name) {
		r.fail(at, "a name is not UTF-8")
	}
	return string(name)
}

// flag reads a byte that is 0 or 1.
func (r *reader) flag(what string) bool {
	at := r.at
	b := r.byte()
	if b > 1 {
		r.fail(at, "%s is 0x%x, and can be 0 or 1", what, b)
	}
	return b == 1
}

// zero reads a byte that can only be 0.
func (r *reader) zero(what string) {
	at := r.at
	if b := r.byte(); b != 0 {
		r.fail(at, "%s is 0x%x, and can only be 0", what, b)
	}
}

// end refuses bytes that are left.
func (r *reader) end(what string) {
	if r.more() {
		r.fail(r.at, "%d bytes are left behind the end of %s", len(r.b)-r.at, what)
	}
}

// count reads how many of something follow. Each takes at least one byte.
func (r *reader) count(what string) int {
	at := r.at
	n := r.u32()
	if uint64(n) > uint64(len(r.b)-r.at) {
		r.fail(at, "%d %s cannot be in %d bytes", n, what, len(r.b)-r.at)
	}
	return int(n)
}

// few is how many items a list gets memory for before they are read.
const few = 64

// list reads items with their number before them.
func list[T any](r *reader, what string, read func(*reader) T) []T {
	at := r.at
	n := r.count(what)
	if n == 0 {
		return nil
	}
	r.bound(at, "items of lists", r.counts.items+n, maxItems)
	r.counts.items += n
	items := make([]T, 0, min(n, few))
	for range n {
		if len(items) == cap(items) { // the builtin would leave more behind
			items = slices.Grow(items, min(n-len(items), len(items)))
		}
		items = append(items, read(r))
	}
	return items
}

// defined counts a definition.
func (r *reader) defined(at int) {
	r.counts.definitions++
	r.bound(at, "definitions", r.counts.definitions, maxDefinitions)
}
