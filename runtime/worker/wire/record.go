package wire

import (
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// OpenRecord opens the agent's note about a worker from its start, for ParseInfo, Holder and
// HoldRecord.
func OpenRecord(dir string) (*os.File, error) {
	return OpenPlain(unix.AT_FDCWD, dir+RecordSuffix, dir+RecordSuffix)
}

// Holder returns the process that holds the lock of a record, or 0. The kernel names the process,
// and releases the lock when the process exits. The lock is one of fcntl, because the kernel names
// the holder only for such a lock. It is on the record, because any worker can lock any folder.
func Holder(record *os.File) (pid int, err error) {
	ask := unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart}
	if err := unix.FcntlFlock(record.Fd(), unix.F_GETLK, &ask); err != nil {
		return 0, fmt.Errorf("asking who holds %s: %w", record.Name(), err)
	}
	if ask.Type == unix.F_UNLCK {
		return 0, nil
	}
	return int(ask.Pid), nil
}

// HoldRecord locks a record for this process, until the process exits or closes any open file of
// the record.
func HoldRecord(record *os.File) error {
	switch by, err := Holder(record); {
	case err != nil:
		return err
	case by != 0:
		return fmt.Errorf("%s is held by process %d", record.Name(), by)
	}
	// A read lock does not need a writable file.
	lock := unix.Flock_t{Type: unix.F_RDLCK, Whence: io.SeekStart}
	if err := unix.FcntlFlock(record.Fd(), unix.F_SETLK, &lock); err != nil {
		return fmt.Errorf("locking %s: %w", record.Name(), err)
	}
	// In the meantime an agent may have found the record free and removed it.
	var now unix.Stat_t
	if err := unix.Fstat(int(record.Fd()), &now); err != nil {
		return fmt.Errorf("looking at %s: %w", record.Name(), err)
	}
	if now.Nlink == 0 {
		return fmt.Errorf("%s was removed", record.Name())
	}
	return nil
}
