package codecache

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// ErrForeign is the error of a file that other users can write, too.
var ErrForeign = errors.New("others than this user can write it")

// Prepare makes the folder for compiled code if it is missing, and makes it private to this user.
// The code in it will run in this process, so a file that another user has left there is not
// loaded.
func Prepare(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return err
	}
	return CheckOwner(dir)
}

// CheckOwner returns an error for a folder in which other users can put files.
func CheckOwner(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if !isOwn(info) {
		return fmt.Errorf("%s belongs to another user; name a folder of this user, or give it to this user", dir)
	}
	return nil
}

// openOwn opens a file that no other user can write.
func openOwn(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && (!info.Mode().IsRegular() || !isOwn(info)) {
		err = fmt.Errorf("%s: %w", path, ErrForeign)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// isOwn reports whether this user, and no other, may write the file that info describes.
func isOwn(info os.FileInfo) bool {
	s, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(s.Uid) == os.Geteuid() && info.Mode().Perm()&0o022 == 0
}
