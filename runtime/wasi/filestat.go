package wasi

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
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

func statOf(st *unix.Stat_t) filestat {
	return filestat{
		dev: st.Dev, ino: st.Ino, kind: typeOf(st.Mode), nlink: uint64(st.Nlink), size: uint64(st.Size),
		atim: nanoseconds(st.Atim), mtim: nanoseconds(st.Mtim), ctim: nanoseconds(st.Ctim),
	}
}

// nanoseconds is a time since 1970; preview 1 has none before.
func nanoseconds(t unix.Timespec) uint64 { return uint64(max(t.Nano(), 0)) }

func typeOf(mode uint32) filetype {
	switch mode & unix.S_IFMT {
	case unix.S_IFREG:
		return typeRegularFile
	case unix.S_IFDIR:
		return typeDirectory
	case unix.S_IFLNK:
		return typeSymbolicLink
	case unix.S_IFCHR:
		return typeCharacterDevice
	case unix.S_IFBLK:
		return typeBlockDevice
	case unix.S_IFSOCK:
		return typeSocketStream
	}
	return typeUnknown // a FIFO, for one, has no type in preview 1
}
