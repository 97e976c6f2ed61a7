package translate

import (
	"encoding/binary"
	"sort"
)

// shift maps an offset of the translated module to its offset in the original module. It is valid
// for all following offsets, up to the next shift.
type shift struct {
	original, moved uint32
}

const shiftSize = 8

func encodeShifts(all []shift) []byte {
	b := make([]byte, 0, shiftSize*len(all))
	for _, s := range all {
		b = binary.LittleEndian.AppendUint32(b, s.original)
		b = binary.LittleEndian.AppendUint32(b, s.moved)
	}
	return b
}

// original looks up an offset in encoded shifts.
func original(shifts []byte, moved uint64) uint64 {
	at := func(i int) (original, moved uint64) {
		return uint64(binary.LittleEndian.Uint32(shifts[shiftSize*i:])), uint64(binary.LittleEndian.Uint32(shifts[shiftSize*i+4:]))
	}
	i := sort.Search(len(shifts)/shiftSize, func(i int) bool {
		_, start := at(i)
		return start > moved
	})
	if i == 0 {
		return moved
	}
	from, start := at(i - 1)
	return moved - start + from
}
