// Package leb128 reads the numbers of WebAssembly's binary format. It allocates nothing, keeps no
// state, and never reads behind the slice that it is given.
package leb128

// TooLong is the length of a number that has more bits than it may have.
const TooLong = -1

// Unsigned reads a number of up to width bits, at most 64, from the start of b, and returns how
// many bytes it takes: 0 if b ends before the number does, or TooLong.
func Unsigned(b []byte, width int) (v uint64, n int) {
	for shift := 0; shift < width; shift += 7 {
		if n == len(b) {
			return 0, 0
		}
		c := b[n]
		n++
		v |= uint64(c&0x7f) << shift
		if c < 0x80 {
			if used := width - shift; used < 7 && c>>used != 0 {
				return 0, TooLong
			}
			return v, n
		}
	}
	return 0, TooLong
}

// Signed reads a number in two's complement of up to width bits, as Unsigned does.
func Signed(b []byte, width int) (v int64, n int) {
	for shift := 0; shift < width; shift += 7 {
		if n == len(b) {
			return 0, 0
		}
		c := b[n]
		n++
		v |= int64(c&0x7f) << shift
		if c < 0x80 {
			last := int8(c<<1) >> 1 // its seven bits, with their sign
			if used := width - shift; used < 7 && last>>(used-1) != 0 && last>>(used-1) != -1 {
				return 0, TooLong
			}
			if last < 0 && shift+7 < 64 {
				v |= -1 << (shift + 7)
			}
			return v, n
		}
	}
	return 0, TooLong
}
