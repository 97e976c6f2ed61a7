package wasi

import (
	"encoding/binary"
	"hash/fnv"
	"io/fs"
	"syscall"
)

// filestat is the attributes of a file, as preview 1 has them. Times are nanoseconds since 1970.
type filestat struct {
	dev, ino    uint64
	kind        filetype
	nlink, size uint64
	atim, mtim  uint64
	ctim        uint64
}

// filestatSize is the size of a filestat in the guest's memory, bytes.
const filestatSize = 64

func (s filestat) put(m memory, ptr uint32) error {
	b, err := m.bytes(ptr, filestatSize)
	if err != nil {
		return err
	}
	clear(b)
	binary.LittleEndian.PutUint64(b[0:], s.dev)
	binary.LittleEndian.PutUint64(b[8:], s.ino)
	b[16] = byte(s.kind)
	binary.LittleEndian.PutUint64(b[24:], s.nlink)
	binary.LittleEndian.PutUint64(b[32:], s.size)
	binary.LittleEndian.PutUint64(b[40:], s.atim)
	binary.LittleEndian.PutUint64(b[48:], s.mtim)
	binary.LittleEndian.PutUint64(b[56:], s.ctim)
	return nil
}

func statOf(info fs.FileInfo) filestat {
	s := filestat{kind: typeOf(info.Mode()), nlink: 1, size: uint64(info.Size())}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok { // a directory that only mounts make: any number that is its own will do
		h := fnv.New64a()
		_, _ = h.Write([]byte(info.Name()))
		s.ino = h.Sum64()
		return s
	}
	s.dev, s.ino, s.nlink = uint64(st.Dev), st.Ino, uint64(st.Nlink)
	s.atim, s.mtim, s.ctim = nanoseconds(st.Atim), nanoseconds(st.Mtim), nanoseconds(st.Ctim)
	return s
}

// nanoseconds is a time since 1970; preview 1 has none before.
func nanoseconds(t syscall.Timespec) uint64 { return uint64(max(t.Nano(), 0)) }

func typeOf(mode fs.FileMode) filetype {
	switch {
	case mode.IsRegular():
		return typeRegularFile
	case mode.IsDir():
		return typeDirectory
	case mode&fs.ModeSymlink != 0:
		return typeSymbolicLink
	case mode&fs.ModeCharDevice != 0:
		return typeCharacterDevice
	case mode&fs.ModeDevice != 0:
		return typeBlockDevice
	case mode&fs.ModeSocket != 0:
		return typeSocketStream
	}
	return typeUnknown
}
