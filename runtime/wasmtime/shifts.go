package wasmtime

import (
	"encoding/binary"
	"fmt"
	"slices"
)

// shift says that what stands at an offset of a changed module stood at another one of the original, and what follows
// it up to the next shift too.
type shift struct {
	original, moved uint32
}

// shifts are a module's, in order.
type shifts []shift

// from adds to all offsets.
func (s shifts) from(original, moved int) shifts {
	for i := range s {
		s[i].original += uint32(original)
		s[i].moved += uint32(moved)
	}
	return s
}

// original is the offset that an offset of the changed module was.
func (s shifts) original(moved uint64) uint64 {
	i, _ := slices.BinarySearchFunc(s, moved, func(s shift, at uint64) int {
		if uint64(s.moved) <= at {
			return -1
		}
		return 1
	})
	if i == 0 {
		return moved
	}
	return moved - uint64(s[i-1].moved) + uint64(s[i-1].original)
}

// simplify leaves out what the shift before it says too.
func (s shifts) simplify() shifts {
	return slices.CompactFunc(s, func(a, b shift) bool { return a.moved-a.original == b.moved-b.original })
}

// pack puts the shifts in front of the module's code.
func (s shifts) pack(code []byte) []byte {
	out := make([]byte, 0, 4+8*len(s)+len(code))
	out = binary.LittleEndian.AppendUint32(out, uint32(len(s)))
	for _, one := range s {
		out = binary.LittleEndian.AppendUint32(out, one.original)
		out = binary.LittleEndian.AppendUint32(out, one.moved)
	}
	return append(out, code...)
}

// unpack takes the two apart. The code is the same memory.
func unpack(packed []byte) (s shifts, code []byte, err error) {
	if len(packed) < 4 {
		return nil, nil, fmt.Errorf("%d bytes are no compiled code", len(packed))
	}
	n := uint64(binary.LittleEndian.Uint32(packed))
	packed = packed[4:]
	if n*8 > uint64(len(packed)) {
		return nil, nil, fmt.Errorf("%d bytes are no compiled code", len(packed))
	}
	for i := range n {
		s = append(s, shift{original: binary.LittleEndian.Uint32(packed[8*i:]), moved: binary.LittleEndian.Uint32(packed[8*i+4:])})
	}
	return s, packed[8*n:], nil
}
