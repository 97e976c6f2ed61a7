package canon

import (
	"encoding/binary"
	"unicode/utf16"
	"unicode/utf8"
)

// coding is how the bytes of one string are encoded.
type coding uint8

const (
	inUTF8 coding = iota
	inUTF16
	inLatin1
)

const (
	maxASCII  = 0x7f
	maxLatin1 = 0xff
	// firstWide is the first scalar value that takes two units of UTF-16.
	firstWide = 0x10000
)

// decode returns the first scalar value of a string that is not empty, and how many bytes it takes.
// What is not valid decodes to U+FFFD.
func (c coding) decode(b []byte) (r rune, size int) {
	switch c {
	case inLatin1:
		return rune(b[0]), 1
	case inUTF8:
		return utf8.DecodeRune(b)
	}
	if len(b) < 2 {
		return utf8.RuneError, len(b)
	}
	r = rune(binary.LittleEndian.Uint16(b))
	if !utf16.IsSurrogate(r) {
		return r, 2
	}
	if len(b) >= 4 {
		if both := utf16.DecodeRune(r, rune(binary.LittleEndian.Uint16(b[2:]))); both != utf8.RuneError {
			return both, 4
		}
	}
	return utf8.RuneError, 2
}

// size returns how many bytes a scalar value takes. In Latin-1 it is at most maxLatin1.
func (c coding) size(r rune) int {
	switch {
	case c == inUTF8:
		return utf8.RuneLen(r)
	case c == inLatin1:
		return 1
	case r < firstWide:
		return 2
	}
	return 4
}

// encode writes a scalar value to memory that has room for it.
func (c coding) encode(b []byte, r rune) {
	switch {
	case c == inUTF8:
		utf8.EncodeRune(b, r)
	case c == inLatin1:
		b[0] = byte(r)
	case r < firstWide:
		binary.LittleEndian.PutUint16(b, uint16(r))
	default:
		high, low := utf16.EncodeRune(r)
		binary.LittleEndian.PutUint16(b, uint16(high))
		binary.LittleEndian.PutUint16(b[2:], uint16(low))
	}
}

// transcode encodes what src holds into dst, up to the first scalar value that is above limit. It
// returns how many bytes it read and wrote.
func (f *Frame) transcode(dst []byte, to coding, src []byte, from coding, limit rune) (read, written int) {
	polled := 0
	for read < len(src) {
		if read-polled >= pollEvery {
			f.moving(uint64(read - polled))
			polled = read
		}
		if n := ascii(dst[written:], to, src[read:], from); n > 0 {
			read += n * from.unit()
			written += n * to.unit()
			continue
		}
		r, size := from.decode(src[read:])
		if r > limit {
			break
		}
		n := to.size(r)
		if n > len(dst)-written {
			trapChanged() // it had room when its size was asked for
		}
		to.encode(dst[written:], r)
		read += size
		written += n
	}
	f.moving(uint64(read - polled))
	return read, written
}

// unit returns the size of a code unit.
func (c coding) unit() int {
	if c == inUTF16 {
		return 2
	}
	return 1
}

// ascii encodes the ASCII that a string begins with, and returns how many characters it is. It may
// leave some for the next call.
func ascii(dst []byte, to coding, src []byte, from coding) (n int) {
	room := min(len(src)/from.unit(), len(dst)/to.unit(), pollEvery)
	switch {
	case from == to && from == inUTF16:
		src, dst = src[:2*room], dst[:2*room]
		for n < room && src[2*n] <= maxASCII && src[2*n+1] == 0 {
			dst[2*n], dst[2*n+1] = src[2*n], 0
			n++
		}
	case from == inUTF16:
		src, dst = src[:2*room], dst[:room]
		for n < room && src[2*n] <= maxASCII && src[2*n+1] == 0 {
			dst[n] = src[2*n]
			n++
		}
	case to == inUTF16:
		src, dst = src[:room], dst[:2*room]
		for n < room && src[n] <= maxASCII {
			dst[2*n], dst[2*n+1] = src[n], 0
			n++
		}
	default:
		src, dst = src[:room], dst[:room]
		for n < room && src[n] <= maxASCII {
			dst[n] = src[n]
			n++
		}
	}
	return n
}

// validate traps if bytes are not valid in a coding.
func (f *Frame) validate(b []byte, c coding) {
	for len(b) > pollEvery {
		n := c.cut(b, pollEvery)
		validatePart(b[:n], c)
		b = b[n:]
		f.moving(uint64(n))
	}
	validatePart(b, c)
}

// cut returns an offset of at most n at which no scalar value is cut, if the string is valid.
func (c coding) cut(b []byte, n int) int {
	switch c {
	case inUTF8:
		for range utf8.UTFMax - 1 {
			if utf8.RuneStart(b[n]) {
				break
			}
			n--
		}
	case inUTF16:
		if r := binary.LittleEndian.Uint16(b[n-2:]); r >= 0xd800 && r < 0xdc00 {
			n -= 2
		}
	}
	return n
}

func validatePart(b []byte, c coding) {
	switch c {
	case inUTF8:
		if !utf8.Valid(b) {
			Trapf("a string is not valid UTF-8")
		}
	case inUTF16:
		for i := 0; i < len(b); i += 2 {
			if r := binary.LittleEndian.Uint16(b[i:]); r < firstSurrogate || r > lastSurrogate {
				continue
			}
			if _, n := c.decode(b[i:]); n != 4 {
				Trapf("a string is not valid UTF-16")
			}
			i += 2
		}
	}
}
