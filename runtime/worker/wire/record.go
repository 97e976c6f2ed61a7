package wire

import (
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// openRecord opens what the agent has noted of a worker when it started it, for parseInfo and holder.
func OpenRecord(dir string) (*os.File, error) {
	return OpenPlain(unix.AT_FDCWD, dir+RecordSuffix, dir+RecordSuffix)
}

// holder is the process that holds the lock of a record, 0 if none does. The kernel says so, and gives the lock free with the process.
// It is a lock of fcntl, of which the kernel tells the holder; and it is the record's, since any worker can lock any folder.
func Holder(record *os.File) (int, error) {
	ask := unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart}
	if err := unix.FcntlFlock(record.Fd(), unix.F_GETLK, &ask); err != nil {
		return 0, fmt.Errorf("who holds %s: %w", record.Name(), err)
	}
	if ask.Type == unix.F_UNLCK {
		return 0, nil
	}
	return int(ask.Pid), nil
}

// take locks a record for this process, until it ends or closes any open file of the record.
func Take(record *os.File) error {
	switch by, err := Holder(record); {
	case err != nil:
		return err
	case by != 0:
		return fmt.Errorf("%s is held by process %d", record.Name(), by)
	}
	lock := unix.Flock_t{Type: unix.F_RDLCK, Whence: io.SeekStart} // which needs no file that can be written
	if err := unix.FcntlFlock(record.Fd(), unix.F_SETLK, &lock); err != nil {
		return fmt.Errorf("lock %s: %w", record.Name(), err)
	}
	// An agent that found it free may have removed it.
	var now unix.Stat_t
	if err := unix.Fstat(int(record.Fd()), &now); err != nil {
		return fmt.Errorf("look at %s: %w", record.Name(), err)
	}
	if now.Nlink == 0 {
		return fmt.Errorf("%s was removed", record.Name())
	}
	return nil
}
