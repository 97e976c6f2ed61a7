// Package flock locks files between processes with flock(2). A lock ends when the last descriptor
// of the open file is closed.
package flock

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// TryShared takes a shared lock. If that is not possible at once, it fails with unix.EWOULDBLOCK.
func TryShared(file *os.File) error { return try(file, unix.LOCK_SH) }

// TryExclusive takes an exclusive lock. If that is not possible at once, it fails with
// unix.EWOULDBLOCK.
func TryExclusive(file *os.File) error { return try(file, unix.LOCK_EX) }

func try(file *os.File, how int) error {
	for {
		err := unix.Flock(int(file.Fd()), how|unix.LOCK_NB)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
