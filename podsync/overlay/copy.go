package overlay

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// copyTree copies everything below the directory from to the empty directory to: names, contents,
// permissions and times. If a file has several names, its copy has them, too. The directory from
// must not change meanwhile.
func copyTree(ctx context.Context, from, to string) error {
	c := copier{names: map[uint64]string{}}
	err := filepath.WalkDir(from, func(at string, entry fs.DirEntry, err error) error {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, at)
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		return c.copy(ctx, at, filepath.Join(to, rel), info)
	})
	if err != nil {
		return err
	}
	for _, d := range c.dirs { // last, because making their entries changes their times
		if err := os.Chtimes(d.path, d.time, d.time); err != nil {
			return err
		}
	}
	return nil
}

type copier struct {
	names map[uint64]string // for files with several names: the first one, by inode
	dirs  []dirTime
}

type dirTime struct {
	path string
	time time.Time
}

func (c *copier) copy(ctx context.Context, from, to string, info fs.FileInfo) error {
	switch mode := info.Mode(); {
	case mode.IsDir():
		// The first directory exists already.
		if err := os.Mkdir(to, mode.Perm()); err != nil && !os.IsExist(err) {
			return err
		}
		c.dirs = append(c.dirs, dirTime{to, info.ModTime()})
		return os.Chmod(to, mode.Perm())
	case mode&fs.ModeSymlink != 0:
		target, err := os.Readlink(from)
		if err != nil {
			return err
		}
		return os.Symlink(target, to)
	case mode.IsRegular():
		return c.copyFile(ctx, from, to, info)
	}
	return nil // an image has no other kinds of files
}

func (c *copier) copyFile(ctx context.Context, from, to string, info fs.FileInfo) error {
	if st, ok := info.Sys().(*syscall.Stat_t); ok && st.Nlink > 1 {
		if name := c.names[st.Ino]; name != "" {
			return os.Link(name, to)
		}
		c.names[st.Ino] = to
	}
	if err := copyContent(ctx, from, to); err != nil {
		return err
	}
	if err := os.Chmod(to, info.Mode().Perm()); err != nil {
		return err
	}
	return os.Chtimes(to, info.ModTime(), info.ModTime())
}

// copiedAtOnce is how many bytes are copied between two checks of the context.
const copiedAtOnce = 16 << 20

func copyContent(ctx context.Context, from, to string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close() //nolint:errcheck // it is only read
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if closed := out.Close(); err == nil {
			err = closed
		}
	}()
	if unix.IoctlFileClone(int(out.Fd()), int(in.Fd())) == nil {
		return nil
	}
	for err == nil {
		if err = ctx.Err(); err == nil {
			_, err = io.CopyN(out, in, copiedAtOnce)
		}
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return err
}
