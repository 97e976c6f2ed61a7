package filetree

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// bufferSize is how many bytes of entries are read at a time.
const bufferSize = 8 << 10

// directory is an open directory that is being read.
type directory struct {
	fd       int
	ino, dev uint64
	buffer   [bufferSize]byte
	at, end  int   // the bytes that were read but not used yet
	next     int64 // the kernel's cookie for the next entry after those
}

// entry is a name in a directory.
type entry struct {
	name string
	kind uint8 // unix.DT_UNKNOWN if the file system does not tell
	size int   // of its record, in bytes
	next int64
}

// Positions of fields in a record of getdents64 (man 2 getdents).
const (
	offsetNext = 8
	offsetSize = 16
	offsetKind = 18
	offsetName = 19
)

// peek returns the next entry. It returns the same one until take is called. ok is false after the
// last entry.
func (d *directory) peek() (e entry, ok bool, err error) {
	for {
		if d.at == d.end {
			n, err := again(func() (int, error) { return unix.Getdents(d.fd, d.buffer[:]) })
			if errors.Is(err, unix.ENOENT) { // the directory itself was removed
				return entry{}, false, nil
			}
			if err != nil || n == 0 {
				return entry{}, false, err
			}
			d.at, d.end = 0, n
		}
		record := d.buffer[d.at:d.end]
		e = entry{
			kind: record[offsetKind],
			size: int(binary.NativeEndian.Uint16(record[offsetSize:])),
			next: int64(binary.NativeEndian.Uint64(record[offsetNext:])),
		}
		name, _, _ := bytes.Cut(record[offsetName:e.size], []byte{0})
		if e.name = string(name); e.name != "." && e.name != ".." {
			return e, true, nil
		}
		d.take(e)
	}
}

// take moves to the entry after this one.
func (d *directory) take(e entry) { d.at, d.next = d.at+e.size, e.next }

// open opens the directory name in the directory at; at may be AT_FDCWD, and then name is a path.
// If another file system is mounted there, the error is unix.EXDEV, unless crossing is set. It
// follows no link.
func (d *directory) open(at int, name string, crossing bool) error {
	const flags = unix.O_RDONLY | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_NONBLOCK | unix.O_CLOEXEC
	fd, err := again(func() (int, error) {
		if crossing || !hasOpenat2() {
			return unix.Openat(at, name, flags, 0)
		}
		return unix.Openat2(at, name, &unix.OpenHow{Flags: flags, Resolve: unix.RESOLVE_NO_XDEV})
	})
	if err != nil {
		return err
	}
	var st unix.Stat_t
	if err = unix.Fstat(fd, &st); err == nil && !crossing && !hasOpenat2() {
		err = sameMount(at, fd)
	}
	if err != nil {
		return errors.Join(err, unix.Close(fd))
	}
	d.fd, d.ino, d.dev = fd, st.Ino, st.Dev
	d.at, d.end, d.next = 0, 0, 0
	return nil
}

// goOn makes an open directory continue where another descriptor of it has stopped.
func (d *directory) goOn(next int64) error {
	if next == 0 {
		return nil
	}
	d.next = next
	_, err := unix.Seek(d.fd, next, unix.SEEK_SET)
	return err
}

func (d *directory) close() { _ = unix.Close(d.fd) } // it was only read

// hasOpenat2 reports whether the kernel has openat2 (Linux 5.6) and no filter of system calls
// forbids it.
var hasOpenat2 = sync.OnceValue(func() bool {
	fd, err := unix.Openat2(unix.AT_FDCWD, "/", &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_NO_XDEV})
	return err == nil && unix.Close(fd) == nil
})

// sameMount returns unix.EXDEV if two descriptors belong to different mounts, like openat2.
func sameMount(a, b int) error {
	first, err := mountOf(a)
	if err != nil {
		return err
	}
	second, err := mountOf(b)
	if err == nil && first != second {
		err = unix.EXDEV
	}
	return err
}

// mountOf returns the number of a descriptor's mount.
func mountOf(fd int) (string, error) {
	text, err := os.ReadFile("/proc/self/fdinfo/" + strconv.Itoa(fd))
	if err != nil {
		return "", err
	}
	_, rest, _ := strings.Cut(string(text), "mnt_id:")
	id, _, _ := strings.Cut(rest, "\n")
	return strings.TrimSpace(id), nil
}

// again calls a function, and repeats the call when a signal has interrupted it.
func again[T any](call func() (T, error)) (T, error) {
	for {
		if got, err := call(); !errors.Is(err, unix.EINTR) {
			return got, err
		}
	}
}
