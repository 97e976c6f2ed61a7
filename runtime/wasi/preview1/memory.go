package preview1

import (
	"bytes"
	"encoding/binary"
	"unicode/utf8"

	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
)

// memory is the guest's linear memory. Its methods trust no number from the guest. They check every
// range, in 64 bits so that no sum can overflow.
type memory []byte

// bytes is the range of n bytes at ptr. It shares the guest's memory.
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

// path copies a path from the guest. The bound of its length is the kernel's (PATH_MAX). In WASI a
// name is valid UTF-8. A zero byte cannot be passed to the kernel.
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

// maxIovecs is how many buffers a call may have. It is the kernel's own bound (IOV_MAX).
const maxIovecs = 1024

// iovecSize is the size of the entry for one buffer: a pointer and a length, 32 bits each.
const iovecSize = 8

// iovecs appends to bufs the n buffers in a list in the guest's memory. All of them are checked,
// and copied from the list, before any data is moved, because the data may overwrite the list.
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
	if total > 1<<32-1 { // the result, the number of moved bytes, has 32 bits
		return bufs, ErrnoInval
	}
	return bufs, nil
}
