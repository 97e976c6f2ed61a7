package worker

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// openRecord opens what the agent has noted of a worker when it started it, for parseInfo and holder.
func openRecord(dir string) (*os.File, error) {
	return openPlain(unix.AT_FDCWD, dir+recordSuffix, dir+recordSuffix)
}

// holder is the process that holds the lock of a record, 0 if none does. The kernel says so, and gives the lock free with the process.
// It is a lock of fcntl, of which the kernel tells the holder; and it is the record's, since any worker can lock any folder.
func holder(record *os.File) (int, error) {
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
func take(record *os.File) error {
	switch by, err := holder(record); {
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

// note makes the record of a new worker, and the key to its marks.
func note(dir string, info Info) error {
	text, err := json.Marshal(info)
	if err != nil {
		return err
	}
	key := make([]byte, keySize)
	_, _ = rand.Read(key) // never fails
	return errors.Join(create(dir+keySuffix, key), create(dir+recordSuffix, append(text, '\n')))
}

func create(path string, text []byte) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	return errors.Join(err, file.Close())
}
