package preview1

import (
	"bytes"
	"encoding/binary"
	"unicode/utf8"

	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
)

// memory is the guest's linear memory. Its methods trust nothing that the guest says: they check
// every range, in 64 bits so that no sum wraps around.
type memory []byte

// bytes is the range of n bytes at ptr. It aliases the guest's memory.
func (m memory) bytes(ptr, n uint32) ([]byte, error) {
	if uint64(ptr)+uint64(n) > uint64(len(m)) {
		return nil, ErrnoFault
	}
	return m[ptr : uint64(ptr)+uint64(n) : uint64(ptr)+uint64(n)], nil
}

func (m memory) putU32(ptr, v uint32) error {
	b, err := m.bytes(ptr, 4)
	if err != nil {
		return err
	}
	binary.LittleEndian.PutUint32(b, v)
	return nil
}

func (m memory) putU64(ptr uint32, v uint64) error {
	b, err := m.bytes(ptr, 8)
	if err != nil {
		return err
	}
	binary.LittleEndian.PutUint64(b, v)
	return nil
}

// path copies a path of the guest, whose length is bounded as the kernel bounds it (PATH_MAX). A
// name is valid UTF-8 in WASI; a zero byte could not be passed to the kernel.
func (m memory) path(ptr, n uint32) (string, error) {
	b, err := m.bytes(ptr, n)
	if err != nil {
		return "", err
	}
	switch {
	case n >= wasi.MaxPath:
		return "", ErrnoNametoolong
	case bytes.IndexByte(b, 0) >= 0:
		return "", ErrnoInval
	case !utf8.Valid(b):
		return "", ErrnoIlseq
	}
	return string(b), nil
}

// maxIovecs is how many buffers a call may name: the kernel's own bound (IOV_MAX).
const maxIovecs = 1024

// iovecSize is the size of what names one buffer: a pointer and a length, 32 bits each.
const iovecSize = 8

// iovecs appends the n buffers that a list in the guest's memory names to bufs. All of them are
// checked, and copied out of the list, before anything is moved: a guest may have its list
// overwritten by what it reads.
func (m memory) iovecs(bufs [][]byte, ptr, n uint32) ([][]byte, error) {
	if n > maxIovecs {
		return bufs, ErrnoInval
	}
	list, err := m.bytes(ptr, n*iovecSize)
	if err != nil {
		return bufs, err
	}
	var total uint64
	for ; len(list) >= iovecSize; list = list[iovecSize:] {
		b, err := m.bytes(binary.LittleEndian.Uint32(list), binary.LittleEndian.Uint32(list[4:]))
		if err != nil {
			return bufs, err
		}
		total += uint64(len(b))
		bufs = append(bufs, b)
	}
	if total > 1<<32-1 { // the number of bytes that were moved is told in 32 bits
		return bufs, ErrnoInval
	}
	return bufs, nil
}
