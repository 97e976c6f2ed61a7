package config

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

const (
	// dataLink is the link that a volume replaces to change all of its files at once.
	dataLink = "..data"
	// maxTries is how often what changes meanwhile is read.
	maxTries = 5
	// batch is how many entries of a folder are listed at once.
	batch = 256
	// maxName is Linux's longest name of a file, in bytes.
	maxName = 255
)

// isFileName reports whether a key can be the name of a file.
func isFileName(key string) bool {
	return key != "" && key != "." && len(key) <= maxName && !strings.HasPrefix(key, "..") && !strings.ContainsAny(key, "/\x00") &&
		utf8.ValidString(key)
}

// getFrom returns a value of a folder.
func getFrom(name, key string) (value string, ok bool, err error) {
	root, err := os.OpenRoot(name)
	if err != nil {
		return "", false, fmt.Errorf("opening a folder of values: %w", pathless(err))
	}
	defer func() { _ = root.Close() }() // nothing was written to it
	// If a link leads nowhere, all files may be changing: then there is another link ..data.
	for try, data := 1, ""; ; try++ {
		value, ok, err = valueOf(root, key, maxValue)
		if ok || err != nil || try == maxTries {
			return value, ok, err
		}
		if _, gone := root.Lstat(key); gone != nil {
			return "", false, nil
		}
		before := data
		if data, _ = root.Readlink(dataLink); data == before {
			return "", false, nil
		}
	}
}

// valueOf returns the value of a file, which may have up to limit bytes. The bool reports whether
// there is one.
func valueOf(root *os.Root, key string, limit int) (value string, ok bool, err error) {
	value, ok, err = read(root, key, limit)
	if errors.Is(err, fs.ErrNotExist) {
		return "", false, nil
	}
	if err != nil {
		return "", false, fmt.Errorf("reading the value of %q: %w", key, pathless(err))
	}
	return value, ok, nil
}

// read reads a file. The bool reports whether there is one that is a value.
func read(root *os.Root, key string, limit int) (value string, ok bool, err error) {
	// A device may act when it is opened, so the name is looked at first.
	if info, err := root.Stat(key); err != nil || !info.Mode().IsRegular() {
		return "", false, leadsOut(err)
	}
	// What the name stands for may have changed: opening a FIFO must not wait.
	f, err := root.OpenFile(key, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return "", false, leadsOut(err)
	}
	defer func() { _ = f.Close() }() // nothing was written to it
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return "", false, err
	}
	if shows, err := showsProcess(f); shows || err != nil {
		return "", false, err
	}
	var text strings.Builder
	text.Grow(int(min(info.Size(), int64(limit))))
	n, err := io.Copy(&text, io.LimitReader(f, int64(limit)+1))
	switch {
	case err != nil:
		return "", false, err
	case n > int64(limit) && limit < maxValue:
		return "", false, errTooMuch
	}
	return text.String(), true, check(text.String())
}

// showsProcess reports whether a file is of a proc file system, which would show this OS process's
// own memory and secrets.
func showsProcess(f *os.File) (bool, error) {
	var s unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &s); err != nil {
		return false, err
	}
	return s.Type == unix.PROC_SUPER_MAGIC, nil
}

// leadsOut returns nil instead of the error of a link that leads out of the folder, or nowhere. It
// is that of no system call. Such a link is no value.
func leadsOut(err error) error {
	var number syscall.Errno
	if !errors.As(err, &number) || number == unix.ELOOP || number == unix.ENOTDIR {
		return nil
	}
	return err
}

// pathless returns an error without the path of the host that it names.
func pathless(err error) error {
	var number syscall.Errno
	if errors.As(err, &number) {
		return number
	}
	return err
}

// allOf returns the values of a folder that earlier ones lack, as they were at one time.
func allOf(ctx context.Context, name string, earlier *gathered, look func(ctx context.Context) error) (map[string]string, error) {
	root, err := os.OpenRoot(name)
	if err != nil {
		return nil, fmt.Errorf("opening a folder of values: %w", pathless(err))
	}
	defer func() { _ = root.Close() }() // nothing was written to it
	for try := 1; ; try++ {
		before, _ := root.Readlink(dataLink)
		found, err := list(ctx, root, earlier, look)
		if err != nil {
			return nil, err
		}
		if after, _ := root.Readlink(dataLink); after == before || try == maxTries {
			return found, nil
		}
	}
}

// list reads the values of a folder once.
func list(ctx context.Context, root *os.Root, earlier *gathered, look func(ctx context.Context) error) (map[string]string, error) {
	dir, err := root.Open(".")
	if err != nil {
		return nil, fmt.Errorf("listing a folder of values: %w", pathless(err))
	}
	defer func() { _ = dir.Close() }() // nothing was written to it
	found := gathered{all: map[string]string{}, size: earlier.size}
	for entries := 0; ; {
		some, err := dir.ReadDir(batch)
		if errors.Is(err, io.EOF) {
			return found.all, nil
		}
		if err != nil {
			return nil, fmt.Errorf("listing a folder of values: %w", pathless(err))
		}
		if entries += len(some); entries > maxKeys {
			return nil, fmt.Errorf("listing a folder of values: %w", errTooMany)
		}
		for _, e := range some {
			if err := look(ctx); err != nil {
				return nil, err
			}
			if !isFileName(e.Name()) || e.IsDir() || earlier.has(e.Name()) {
				continue
			}
			value, ok, err := valueOf(root, e.Name(), min(maxValue, found.left()))
			if err != nil {
				return nil, err
			}
			if !ok {
				continue
			}
			if err := found.add(e.Name(), value); err != nil {
				return nil, err
			}
		}
	}
}
