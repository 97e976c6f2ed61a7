// Package flock locks files between processes, by flock(2). A lock ends with the last descriptor of
// the open file.
package flock

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// TryShared takes a shared lock, or fails with unix.EWOULDBLOCK at once.
func TryShared(file *os.File) error { return try(file, unix.LOCK_SH) }

// TryExclusive takes an exclusive lock, or fails with unix.EWOULDBLOCK at once.
func TryExclusive(file *os.File) error { return try(file, unix.LOCK_EX) }

func try(file *os.File, how int) error {
	for {
		err := unix.Flock(int(file.Fd()), how|unix.LOCK_NB)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
