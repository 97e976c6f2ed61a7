package translate

import (
	"fmt"
	"unicode/utf8"

	"github.com/krustlet-go/krustlet-wasi/runtime/leb128"
)

// reader reads the binary format. Its offsets are the module's. If it cannot read something, the
// whole translation ends: fail panics with a stop, and Module recovers from it.
type reader struct {
	b        []byte // the module, up to the end of this reader
	at       int
	function int // the current function, or -1
	on       Features
}

// stop carries the error of a translation to Module.
type stop struct{ err error }

func (r *reader) position(at int) Position { return Position{Function: r.function, Offset: at} }

func (r *reader) fail(at int, format string, args ...any) {
	panic(stop{&FormatError{Position: r.position(at), What: fmt.Sprintf(format, args...)}})
}

// need refuses the module unless the proposal is on.
func (r *reader) need(f Feature, at int) {
	if !r.on.Has(f) {
		panic(stop{&FeatureError{Position: r.position(at), Feature: f}})
	}
}

// bound refuses the module if the count is above the maximum.
func (r *reader) bound(at int, what string, count, most uint64) {
	if count > most {
		panic(stop{&LimitError{Position: r.position(at), What: what, Count: count, Bound: most}})
	}
}

// index refuses a number that is not below n.
func (r *reader) index(at int, what string, i uint32, n int) {
	if uint64(i) >= uint64(n) {
		r.fail(at, "there is no %s %d", what, i)
	}
}

func (r *reader) more() bool { return r.at < len(r.b) }

func (r *reader) byte() byte {
	if r.at >= len(r.b) {
		r.fail(r.at, "the module ends too early")
	}
	r.at++
	return r.b[r.at-1]
}

func (r *reader) take(n uint32) []byte {
	if uint64(n) > uint64(len(r.b)-r.at) {
		r.fail(r.at, "%d bytes are to follow, and there are %d", n, len(r.b)-r.at)
	}
	r.at += int(n)
	return r.b[r.at-int(n) : r.at]
}

// within returns a reader for the next n bytes, and skips them in r.
func (r *reader) within(n uint32) *reader {
	start := r.at
	r.take(n)
	inner := *r
	inner.b, inner.at = r.b[:r.at], start
	return &inner
}

// u32 reads an unsigned LEB128 number.
func (r *reader) u32() uint32 {
	if r.at < len(r.b) && r.b[r.at] < 0x80 {
		r.at++
		return uint32(r.b[r.at-1])
	}
	return r.longU32()
}

func (r *reader) longU32() uint32 {
	v, n := leb128.Unsigned(r.b[r.at:], 32)
	r.number(n, 32)
	return uint32(v)
}

// signed reads a signed LEB128 number of at most this width in bits.
func (r *reader) signed(width int) int64 {
	if r.at < len(r.b) && r.b[r.at] < 0x80 {
		r.at++
		return int64(int8(r.b[r.at-1]<<1) >> 1)
	}
	v, n := leb128.Signed(r.b[r.at:], width)
	r.number(n, width)
	return v
}

// number skips a number of n bytes.
func (r *reader) number(n, width int) {
	switch n {
	case 0:
		r.fail(len(r.b), "the module ends too early")
	case leb128.TooLong:
		r.fail(r.at, "a number is longer than %d bits", width)
	}
	r.at += n
}

// name reads a length and then this number of bytes of UTF-8.
func (r *reader) name() []byte {
	start := r.at
	name := r.take(r.u32())
	if !utf8.Valid(name) {
		r.fail(start, "a name is not UTF-8")
	}
	return name
}

// count reads the number of items that follow. Each item has at least one byte.
func (r *reader) count(what string) int {
	start := r.at
	n := r.u32()
	if uint64(n) > uint64(len(r.b)-r.at) {
		r.fail(start, "%d %s cannot be in %d bytes", n, what, len(r.b)-r.at)
	}
	return int(n)
}

// appendU32 appends the shortest LEB128.
func appendU32(b []byte, v uint32) []byte {
	for v >= 0x80 {
		b = append(b, byte(v)|0x80)
		v >>= 7
	}
	return append(b, byte(v))
}
