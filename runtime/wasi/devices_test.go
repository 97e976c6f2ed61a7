package wasi

import (
	"errors"
	"testing"

	"golang.org/x/sys/unix"
)

func TestDevicesThatAreNoContainers(t *testing.T) {
	for _, rdev := range []uint64{unix.Mkdev(1, 1), unix.Mkdev(1, 11), unix.Mkdev(10, 130), unix.Mkdev(5, 0)} {
		if err := openable(&unix.Stat_t{Mode: unix.S_IFCHR, Rdev: rdev}); !errors.Is(err, ErrNotPermitted) {
			t.Errorf("device %d:%d: %v", unix.Major(rdev), unix.Minor(rdev), err)
		}
	}
	if err := openable(&unix.Stat_t{Mode: unix.S_IFBLK, Rdev: unix.Mkdev(1, 3)}); !errors.Is(err, ErrNotPermitted) {
		t.Errorf("a block device: %v", err)
	}
}
