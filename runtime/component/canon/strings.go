package canon

import (
	"strings"
	"unicode/utf8"
	"unsafe"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/binary"
)

// utf16Tag in the length of a string says, in the encoding that has both, that it is UTF-16.
const utf16Tag = 1 << 31

// text is a string that is about to be lowered.
type text struct {
	coding coding
	units  uint32 // of its coding
	// f is the frame in whose memory it lies, at an address; if it is nil, it is the host's.
	f    *Frame
	at   uint32
	host string
}

// size returns how many bytes the string takes.
func (t *text) size() uint32 {
	if t.coding == inUTF16 {
		return 2 * t.units
	}
	return t.units
}

// bytes returns the string's bytes where they lie now. They may not be written.
func (t *text) bytes() []byte {
	if t.f == nil {
		return unsafe.Slice(unsafe.StringData(t.host), len(t.host))
	}
	return t.f.mem[t.at : uint64(t.at)+uint64(t.size())]
}

// into copies the string's bytes. Source and destination may overlap.
func (t *text) into(dst *Frame, at uint32) {
	if t.f == nil {
		copy(dst.mem[at:], t.host)
		return
	}
	dst.move(at, t.f, t.at, uint64(t.size()))
}

// transcode encodes what is left of the string from an offset: see Frame.transcode.
func (t *text) transcode(dst *Frame, at, size uint32, to coding, offset int, limit rune) (read, written int) {
	room := dst.mem[at : uint64(at)+uint64(size)]
	return dst.transcode(room, to, t.bytes()[offset:], t.coding, limit)
}

// liftText checks a string that a guest gives by its address and its length.
func (f *Frame) liftText(at, n uint32) text {
	t := text{f: f, at: at, units: n}
	align, size := uint32(1), uint64(n)
	switch f.side.Encoding() {
	case binary.UTF16:
		align, t.coding, size = 2, inUTF16, 2*uint64(n)
	case binary.Latin1UTF16:
		align, t.coding = 2, inLatin1
		if n&utf16Tag != 0 {
			t.units ^= utf16Tag
			t.coding, size = inUTF16, 2*uint64(t.units)
		}
	}
	if size > maxStringBytes {
		Trapf("a string takes %d bytes or more", maxStringBytes+1)
	}
	if at&(align-1) != 0 {
		Trapf("the address of a string is not aligned to %d bytes", align)
	}
	if !f.inside(at, size) {
		Trapf("a string lies outside of the memory")
	}
	f.validate(f.mem[at:uint64(at)+size], t.coding)
	return t
}

// loadString lifts a string into one of Go.
func (f *Frame) loadString(at, n uint32) string {
	t := f.liftText(at, n)
	size := uint64(t.size())
	b := f.mem[at : uint64(at)+size]
	f.lifted(size)
	f.moving(elementCost + size) // a list may have millions of them
	if t.coding == inUTF8 {
		return string(b)
	}
	var s strings.Builder
	s.Grow(int(t.units))
	for polled := len(b); len(b) > 0; {
		if polled-len(b) >= pollEvery {
			f.moving(pollEvery)
			polled = len(b)
		}
		r, n := t.coding.decode(b)
		s.WriteRune(r)
		b = b[n:]
	}
	f.lifted(uint64(max(0, s.Len()-int(size))))
	return s.String()
}

// loadStart is loadString of up to most bytes of a string that may be long.
func (f *Frame) loadStart(at, n uint32, most int) string {
	t := f.liftText(at, n)
	b := f.mem[at : uint64(at)+uint64(t.size())]
	var s strings.Builder
	for len(b) > 0 {
		r, n := t.coding.decode(b)
		if s.Len()+utf8.RuneLen(r) > most {
			break
		}
		s.WriteRune(r)
		b = b[n:]
	}
	return s.String()
}

// storeGo lowers a string of the host.
func (f *Frame) storeGo(s string) (at, n uint32) {
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, string(utf8.RuneError))
	}
	if len(s) > maxStringBytes {
		Trapf("a string for the guest takes %d bytes or more", maxStringBytes+1)
	}
	return f.storeText(&text{coding: inUTF8, units: uint32(len(s)), host: s})
}

// storeText lowers a string: it asks the guest for memory as the specification does, call by call.
func (f *Frame) storeText(t *text) (at, n uint32) {
	switch f.side.Encoding() {
	case binary.UTF8:
		switch t.coding {
		case inUTF16:
			return f.storeUTF8(t, 3*t.units)
		case inLatin1:
			return f.storeUTF8(t, 2*t.units)
		}
		at = f.allocate(1, t.units)
		t.into(f, at)
		return at, t.units
	case binary.UTF16:
		return f.storeUTF16(t)
	}
	if t.f == nil || t.f.side.Encoding() != binary.Latin1UTF16 {
		return f.storeLatin1(t)
	}
	if t.coding == inUTF16 {
		return f.storeNarrowed(t)
	}
	at = f.allocate(2, t.units)
	t.into(f, at)
	return at, t.units
}

// storeUTF8 lowers to UTF-8. It hopes for ASCII, and else asks for room for the worst.
func (f *Frame) storeUTF8(t *text, worst uint32) (at, n uint32) {
	at = f.allocate(1, t.units)
	read, done := t.transcode(f, at, t.units, inUTF8, 0, maxASCII)
	if uint32(done) == t.units {
		return at, t.units
	}
	at = f.reallocate(at, t.units, 1, worst)
	_, rest := t.transcode(f, at+uint32(done), worst-uint32(done), inUTF8, read, utf8.MaxRune)
	n = uint32(done + rest)
	if n < worst {
		at = f.reallocate(at, worst, 1, n)
	}
	return at, n
}

// storeUTF16 lowers to UTF-16, which takes at most two bytes for each unit of the others.
func (f *Frame) storeUTF16(t *text) (at, n uint32) {
	room := 2 * t.units
	at = f.allocate(2, room)
	if t.coding == inUTF16 {
		t.into(f, at)
		return at, t.units
	}
	_, written := t.transcode(f, at, room, inUTF16, 0, utf8.MaxRune)
	if uint32(written) < room {
		at = f.reallocate(at, room, 2, uint32(written))
	}
	return at, uint32(written) / 2
}

// storeLatin1 lowers to Latin-1. At the first scalar value that this lacks, it goes over to UTF-16.
func (f *Frame) storeLatin1(t *text) (at, n uint32) {
	at = f.allocate(2, t.units)
	read, done := t.transcode(f, at, t.units, inLatin1, 0, maxLatin1)
	if uint32(read) == t.size() {
		if uint32(done) < t.units {
			at = f.reallocate(at, t.units, 2, uint32(done))
		}
		return at, uint32(done)
	}
	worst := 2 * t.units
	at = f.reallocate(at, t.units, 2, worst)
	f.widen(f.mem[at:uint64(at)+uint64(worst)], done)
	written := 2 * done
	_, rest := t.transcode(f, at+uint32(written), worst-uint32(written), inUTF16, read, utf8.MaxRune)
	written += rest
	if uint32(written) < worst {
		at = f.reallocate(at, worst, 2, uint32(written))
	}
	return at, uint32(written)/2 | utf16Tag
}

// storeNarrowed lowers UTF-16 of a guest that would have given Latin-1 if it had known that this is
// enough. It looks whether it is.
func (f *Frame) storeNarrowed(t *text) (at, n uint32) {
	size := 2 * t.units
	at = f.allocate(2, size)
	t.into(f, at)
	if b := f.mem[at : uint64(at)+uint64(size)]; !f.narrow(b) {
		return at, t.units | utf16Tag
	}
	return f.reallocate(at, size, 1, t.units), t.units
}

// widen makes UTF-16 of n bytes of Latin-1, in place.
func (f *Frame) widen(b []byte, n int) {
	for n > 0 {
		end := max(0, n-pollEvery)
		f.moving(uint64(n - end))
		for i := n - 1; i >= end; i-- {
			b[2*i], b[2*i+1] = b[i], 0
		}
		n = end
	}
}

// narrow makes Latin-1 of UTF-16, in place, and reports whether it could: else it changes nothing.
func (f *Frame) narrow(b []byte) bool {
	for rest := b; len(rest) > 0; {
		part := rest[:min(len(rest), pollEvery)]
		f.moving(uint64(len(part)))
		for i := 1; i < len(part); i += 2 {
			if part[i] != 0 {
				return false
			}
		}
		rest = rest[len(part):]
	}
	for i, n := 0, len(b)/2; i < n; {
		end := min(n, i+pollEvery)
		f.moving(uint64(end - i))
		for ; i < end; i++ {
			b[i] = b[2*i]
		}
	}
	return true
}
