package leb128

import (
	"encoding/binary"
	"math"
	"testing"
)

func TestUnsigned(t *testing.T) {
	for _, c := range []struct {
		name  string
		b     []byte
		width int
		want  uint64
		n     int
	}{
		{"nothing", nil, 32, 0, 0},
		{"cut", []byte{0x80, 0x80}, 32, 0, 0},
		{"zero", []byte{0}, 32, 0, 1},
		{"what follows is left", []byte{0x7f, 0x80}, 32, 127, 1},
		{"padded", []byte{0x81, 0x80, 0x80, 0x80, 0x00}, 32, 1, 5},
		{"largest", []byte{0xff, 0xff, 0xff, 0xff, 0x0f}, 32, math.MaxUint32, 5},
		{"bit 33", []byte{0x80, 0x80, 0x80, 0x80, 0x10}, 32, 0, TooLong},
		{"six bytes", []byte{0x80, 0x80, 0x80, 0x80, 0x80, 0x00}, 32, 0, TooLong},
		{"ten bytes", []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01}, 64, math.MaxUint64, 10},
		{"bit 65", []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02}, 64, 0, TooLong},
		{"eleven bytes", []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x80, 0}, 64, 0, TooLong},
	} {
		if v, n := Unsigned(c.b, c.width); n != c.n || n > 0 && v != c.want {
			t.Errorf("%s: %d in %d bytes, want %d in %d", c.name, v, n, c.want, c.n)
		}
	}
}

func TestSigned(t *testing.T) {
	for _, c := range []struct {
		name  string
		b     []byte
		width int
		want  int64
		n     int
	}{
		{"nothing", nil, 33, 0, 0},
		{"cut", []byte{0xff}, 33, 0, 0},
		{"minus one", []byte{0x7f}, 33, -1, 1},
		{"minus one, padded", []byte{0xff, 0xff, 0xff, 0xff, 0x7f}, 33, -1, 5},
		{"64", []byte{0xc0, 0x00}, 33, 64, 2},
		{"-64", []byte{0x40}, 33, -64, 1},
		{"largest index", []byte{0xff, 0xff, 0xff, 0xff, 0x0f}, 33, math.MaxUint32, 5},
		{"bit 34 is not the sign", []byte{0xff, 0xff, 0xff, 0xff, 0x1f}, 33, 0, TooLong},
		{"six bytes", []byte{0x80, 0x80, 0x80, 0x80, 0x80, 0x00}, 33, 0, TooLong},
		{"least of 32", []byte{0x80, 0x80, 0x80, 0x80, 0x78}, 32, math.MinInt32, 5},
		{"less than the least of 32", []byte{0x80, 0x80, 0x80, 0x80, 0x70}, 32, 0, TooLong},
		{"least of 64", []byte{0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x7f}, 64, math.MinInt64, 10},
		{"largest of 64", []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00}, 64, math.MaxInt64, 10},
		{"bit 65", []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01}, 64, 0, TooLong},
	} {
		if v, n := Signed(c.b, c.width); n != c.n || n > 0 && v != c.want {
			t.Errorf("%s: %d in %d bytes, want %d in %d", c.name, v, n, c.want, c.n)
		}
	}
}

// FuzzUnsigned compares with the standard library, which reads the same form of 64 bits.
func FuzzUnsigned(f *testing.F) {
	f.Add([]byte{0x81, 0x80, 0x00})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01})
	f.Fuzz(func(t *testing.T, b []byte) {
		v, n := Unsigned(b, 64)
		want, m := binary.Uvarint(b)
		if m < 0 {
			m = TooLong
		}
		if m != n && (n != TooLong || m != 0 || len(b) < 10) || n > 0 && v != want {
			t.Errorf("% x: %d in %d bytes, want %d in %d", b, v, n, want, m)
		}
	})
}
