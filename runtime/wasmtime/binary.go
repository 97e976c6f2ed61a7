package wasmtime

import "errors"

// errUnknownBinary is for a part of a module that the code here does not know. The engine may know it.
var errUnknownBinary = errors.New("an encoding that is not known here")

// cursor reads WebAssembly's binary format. After an error it stays where it is and reads zeros.
type cursor struct {
	b   []byte
	at  int
	err error
}

func (c *cursor) fail() {
	if c.err == nil {
		c.err = errUnknownBinary
	}
	c.at = len(c.b)
}

func (c *cursor) more() bool { return c.err == nil && c.at < len(c.b) }

func (c *cursor) byte() byte {
	if c.at >= len(c.b) {
		c.fail()
		return 0
	}
	c.at++
	return c.b[c.at-1]
}

func (c *cursor) take(n int) []byte {
	if n < 0 || n > len(c.b)-c.at {
		c.fail()
		return nil
	}
	c.at += n
	return c.b[c.at-n : c.at]
}

func (c *cursor) skip(n int) { _ = c.take(n) }

// u32 is an unsigned number of LEB128.
func (c *cursor) u32() uint32 {
	var v uint64
	for shift := 0; shift < 35; shift += 7 {
		b := c.byte()
		v |= uint64(b&0x7f) << shift
		if b < 0x80 {
			if v > 1<<32-1 {
				c.fail()
			}
			return uint32(v)
		}
	}
	c.fail()
	return 0
}

// leb skips a number of LEB128 of up to 64 bits, of either sign.
func (c *cursor) leb() {
	for range 10 {
		if c.byte() < 0x80 {
			return
		}
	}
	c.fail()
}

// name reads a length and as many bytes.
func (c *cursor) name() string { return string(c.take(int(c.u32()))) }

// appendU32 is the shortest LEB128.
func appendU32(b []byte, v uint32) []byte {
	for v >= 0x80 {
		b = append(b, byte(v)|0x80)
		v >>= 7
	}
	return append(b, byte(v))
}

// Opcodes that have a word of their own here.
const (
	opCall       = 0x10
	opMemoryGrow = 0x40
	prefixMisc   = 0xfc
	prefixSIMD   = 0xfd
)

// instruction skips one instruction, of those that settings lets a module have, and returns its opcode.
func (c *cursor) instruction() byte {
	op := c.byte()
	switch {
	case op <= 0x01, op == 0x05, op == 0x0b, op == 0x0f, op == 0x1a, op == 0x1b, op >= 0x45 && op <= 0xc4, op == 0xd1:
	case op >= 0x02 && op <= 0x04, // a block type
		op == 0x0c, op == 0x0d, // a label
		op == 0x10, op == 0x12, // a function
		op >= 0x20 && op <= 0x26, op == 0x3f, op == opMemoryGrow, op == 0x41, op == 0x42, op == 0xd0, op == 0xd2:
		c.leb()
	case op == 0x11, op == 0x13: // a type and a table
		c.leb()
		c.leb()
	case op == 0x0e: // labels, and the default one
		for n := c.u32(); n > 0 && c.err == nil; n-- {
			c.leb()
		}
		c.leb()
	case op == 0x1c: // types of one byte each, in what is known here
		c.skip(int(c.u32()))
	case op >= 0x28 && op <= 0x3e:
		c.memarg()
	case op == 0x43:
		c.skip(4)
	case op == 0x44:
		c.skip(8)
	case op == prefixMisc:
		c.misc()
	case op == prefixSIMD:
		c.simd()
	default:
		c.fail()
	}
	return op
}

// memarg is an alignment, perhaps a memory, and an offset.
func (c *cursor) memarg() {
	const hasMemory = 1 << 6
	if c.u32()&hasMemory != 0 {
		c.leb()
	}
	c.leb()
}

func (c *cursor) misc() {
	switch op := c.u32(); {
	case op <= 7: // saturating conversions
	case op == 8, op == 10, op == 12, op == 14: // memory.init, memory.copy, table.init, table.copy
		c.leb()
		c.leb()
	case op == 9, op == 11, op == 13, op >= 15 && op <= 17:
		c.leb()
	default:
		c.fail()
	}
}

func (c *cursor) simd() {
	switch op := c.u32(); {
	case op <= 11, op == 92, op == 93: // loads and stores
		c.memarg()
	case op == 12, op == 13: // a constant, a shuffle
		c.skip(16)
	case op >= 21 && op <= 34: // a lane
		c.skip(1)
	case op >= 84 && op <= 91: // loads and stores of a lane
		c.memarg()
		c.skip(1)
	case op <= 0x113: // the relaxed ones included
	default:
		c.fail()
	}
}
