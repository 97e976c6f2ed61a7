package registry

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/krustlet-go/krustlet-wasi/runtime/pause"
)

// Several processes may use a store at once. So its locks are file locks, by flock(2). The kernel
// releases them when the process exits. They also work between goroutines, because each goroutine
// opens the file itself.
//
// A blob is locked exclusively while it is written. A pull holds it with a shared lock from the
// moment when the pull has found it until the reference to it is written. A process that removes
// blobs skips locked ones. A process takes the store's own lock shared while it writes such a
// reference, or exclusively if another pull may write the same record. It also takes it exclusively
// while it reads all references and removes what none of them needs. Both are short. After a start
// of the machine, the first process that opens the store holds this lock exclusively while it
// checks the store (durable.go).

// lockRetry is the time between two attempts to get a lock. flock(2) has no wait that a context
// could end.
const lockRetry = 10 * time.Millisecond

// errGone means that the file was locked only after it had been removed.
var errGone = errors.New("the file was removed or replaced")

// awaitLock takes a lock on a file, unix.LOCK_SH or unix.LOCK_EX. It fails with errGone if the
// file's path now names another file, or none.
func awaitLock(ctx context.Context, f *os.File, how int) error {
	for {
		locked, err := tryLock(f, how)
		if locked || err != nil {
			return err
		}
		if err := pause.For(ctx, lockRetry); err != nil {
			return err
		}
	}
}

// tryLock is awaitLock without waiting.
func tryLock(f *os.File, how int) (locked bool, err error) {
	err = unix.Flock(int(f.Fd()), how|unix.LOCK_NB)
	switch {
	case errors.Is(err, unix.EWOULDBLOCK), errors.Is(err, unix.EINTR):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("locking %s: %w", f.Name(), err)
	}
	ours, err := f.Stat()
	if err != nil {
		return false, err
	}
	there, err := os.Stat(f.Name())
	if errors.Is(err, fs.ErrNotExist) || err == nil && !os.SameFile(ours, there) {
		return false, errGone
	}
	return err == nil, err
}

// withLock calls do while it holds the lock of path. It creates this file if it does not exist.
func withLock(ctx context.Context, path string, how int, do func() error) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // this releases the lock
	if err := awaitLock(ctx, f, how); err != nil {
		return err
	}
	return do()
}

// lockPath locks a file or a folder that exists, unix.LOCK_SH or unix.LOCK_EX, until unlock is
// called. The error is fs.ErrNotExist if the path does not exist or is removed in the meantime.
func lockPath(ctx context.Context, path string, how int) (unlock func(), err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	if err := awaitLock(ctx, f, how); err != nil {
		_ = f.Close()
		if errors.Is(err, errGone) {
			err = fs.ErrNotExist
		}
		return nil, err
	}
	return func() { _ = f.Close() }, nil
}
