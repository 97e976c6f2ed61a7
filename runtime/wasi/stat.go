package wasi

import "golang.org/x/sys/unix"

// FileType is what kind of file something is.
type FileType uint8

// The types of files.
const (
	TypeUnknown FileType = iota
	TypeBlockDevice
	TypeCharacterDevice
	TypeDirectory
	TypeFIFO
	TypeRegularFile
	TypeSocket
	TypeSymbolicLink
)

// Stat has the attributes of a file. Times are nanoseconds since 1970.
type Stat struct {
	Dev, Ino    uint64
	Type        FileType
	Links, Size uint64
	// AccessTime, ModTime and ChangeTime are the times of the last access, change of the content
	// and change of the attributes.
	AccessTime, ModTime, ChangeTime uint64
}

// Times are the new access and modification times of a file, in the form for utimensat(2).
// UTIME_NOW and UTIME_OMIT have their usual meaning.
type Times [2]unix.Timespec

func statOf(st *unix.Stat_t) Stat {
	return Stat{
		Dev: st.Dev, Ino: st.Ino, Type: typeOf(st.Mode), Links: uint64(st.Nlink), Size: uint64(st.Size),
		AccessTime: nanoseconds(st.Atim), ModTime: nanoseconds(st.Mtim), ChangeTime: nanoseconds(st.Ctim),
	}
}

func statFD(fd int) (Stat, error) {
	var st unix.Stat_t
	err := unix.Fstat(fd, &st)
	return statOf(&st), err
}

// nanoseconds is a time since 1970. WASI has no earlier times.
func nanoseconds(t unix.Timespec) uint64 { return uint64(max(t.Nano(), 0)) }

func typeOf(mode uint32) FileType {
	switch mode & unix.S_IFMT {
	case unix.S_IFREG:
		return TypeRegularFile
	case unix.S_IFDIR:
		return TypeDirectory
	case unix.S_IFLNK:
		return TypeSymbolicLink
	case unix.S_IFCHR:
		return TypeCharacterDevice
	case unix.S_IFBLK:
		return TypeBlockDevice
	case unix.S_IFSOCK:
		return TypeSocket
	case unix.S_IFIFO:
		return TypeFIFO
	}
	return TypeUnknown
}

// typeOfEntry translates the type in a directory's entry.
func typeOfEntry(t byte) FileType {
	switch t {
	case unix.DT_DIR:
		return TypeDirectory
	case unix.DT_REG:
		return TypeRegularFile
	case unix.DT_LNK:
		return TypeSymbolicLink
	case unix.DT_CHR:
		return TypeCharacterDevice
	case unix.DT_BLK:
		return TypeBlockDevice
	case unix.DT_SOCK:
		return TypeSocket
	case unix.DT_FIFO:
		return TypeFIFO
	}
	return TypeUnknown
}
