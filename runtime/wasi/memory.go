package wasi

import "encoding/binary"

// memory is the guest's linear memory. Its methods take the guest's word for nothing: every range is checked,
// in 64 bits so that no sum wraps around.
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

// path copies a path of the guest, whose length is bounded as the kernel bounds it (PATH_MAX). A name is valid
// UTF-8 in WASI; a zero byte could not be passed to the kernel.
func (m memory) path(ptr, n uint32) (string, error) {
	b, err := m.bytes(ptr, n)
	if err != nil {
		return "", err
	}
	if n >= maxPath {
		return "", ErrnoNametoolong
	}
	return checkedPath(b)
}

// iovecs is the list of n buffers that a guest passes to read or write. Each entry is a pointer and a length,
// 32 bits each. The whole list is checked before anything is transferred.
type iovecs struct {
	mem  memory
	list []byte
}

// maxIovecs is the kernel's own bound (IOV_MAX).
const maxIovecs = 1024

// iovecSize is the size of one entry, in bytes.
const iovecSize = 8

func (m memory) iovecs(ptr, n uint32) (iovecs, error) {
	if n > maxIovecs {
		return iovecs{}, ErrnoInval
	}
	list, err := m.bytes(ptr, n*iovecSize)
	if err != nil {
		return iovecs{}, err
	}
	v := iovecs{mem: m, list: list}
	var total uint64
	for i := range v.len() {
		p, size := v.entry(i)
		if _, err := m.bytes(p, size); err != nil {
			return iovecs{}, err
		}
		total += uint64(size)
	}
	// The number of bytes transferred is reported in 32 bits.
	if total > 1<<32-1 {
		return iovecs{}, ErrnoInval
	}
	return v, nil
}

func (v iovecs) len() int { return len(v.list) / iovecSize }

func (v iovecs) entry(i int) (ptr, size uint32) {
	e := v.list[i*iovecSize:]
	return binary.LittleEndian.Uint32(e), binary.LittleEndian.Uint32(e[4:])
}

// buffer is the i-th buffer. A guest may have its list overwritten by what it reads into its own buffers, so
// the range is checked again.
func (v iovecs) buffer(i int) ([]byte, error) {
	return v.mem.bytes(v.entry(i))
}

// total is the sum of the buffers' sizes.
func (v iovecs) total() (sum uint64) {
	for i := range v.len() {
		_, size := v.entry(i)
		sum += uint64(size)
	}
	return sum
}

func (v iovecs) empty() bool { return v.total() == 0 }
