package volume

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/krustlet-go/krustlet-wasi/runtime/filetree"
)

// This is the layout of a volume with content on disk. Programs know it from other nodes:
//
//	..2026_01_02_15_04_05.123456789/   the files
//	..data -> ..2026_...               replaced by rename: all files change at once
//	NAME -> ..data/NAME                for each first part of a file's path
const (
	dataLink    = "..data"
	dataLinkNew = "..data_tmp"
	timeFormat  = "..2006_01_02_15_04_05."
)

// replace makes files the content of the volume in dir. A reader sees all old files, or all new
// ones.
func replace(dir string, files content) error {
	if holds(dir, files) {
		return nil
	}
	current, err := writeNew(dir, files)
	if err != nil {
		return fmt.Errorf("writing the volume's files: %w", err)
	}
	link := filepath.Join(dir, dataLinkNew)
	_ = os.Remove(link) // an earlier agent may have left one
	if err := os.Symlink(current, link); err != nil {
		return fmt.Errorf("writing the volume's files: %w", err)
	}
	if err := os.Rename(link, filepath.Join(dir, dataLink)); err != nil {
		return fmt.Errorf("putting the volume's files in place: %w", err)
	}
	return tidy(dir, current, files)
}

// holds reports whether the volume has exactly these files.
func holds(dir string, files content) bool {
	current, err := os.Readlink(filepath.Join(dir, dataLink))
	if err != nil {
		return false
	}
	left := len(files)
	err = filepath.WalkDir(filepath.Join(dir, current), func(at string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		rel, err := filepath.Rel(filepath.Join(dir, current), at)
		if err != nil {
			return err
		}
		want, ok := files[filepath.ToSlash(rel)]
		info, err := entry.Info()
		if err != nil || !ok || info.Mode() != want.mode || info.Size() != int64(len(want.data)) {
			return fs.ErrInvalid
		}
		data, err := os.ReadFile(at)
		if err != nil || !bytes.Equal(data, want.data) {
			return fs.ErrInvalid
		}
		left--
		return nil
	})
	if err != nil || left > 0 {
		return false
	}
	for name := range top(files) { // an earlier agent may have ended before it made all of them
		if _, err := os.Lstat(filepath.Join(dir, name)); err != nil {
			return false
		}
	}
	return true
}

// writeNew writes the files into a new directory in dir, and returns its name.
func writeNew(dir string, files content) (string, error) {
	current, err := os.MkdirTemp(dir, time.Now().UTC().Format(timeFormat))
	if err != nil {
		return "", err
	}
	if err := os.Chmod(current, 0o755); err != nil {
		return "", err
	}
	for at, f := range files {
		at = filepath.Join(current, filepath.FromSlash(at))
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			return "", err
		}
		if err := os.WriteFile(at, f.data, 0o600); err != nil {
			return "", err
		}
		if err := os.Chmod(at, f.mode); err != nil { // the umask may have cleared bits
			return "", err
		}
	}
	return filepath.Base(current), nil
}

// tidy makes the links to the current files. It removes links to files that are missing now, and
// older files.
func tidy(dir, current string, files content) error {
	names := top(files)
	for name := range names {
		err := os.Symlink(path.Join(dataLink, name), filepath.Join(dir, name))
		if err != nil && !os.IsExist(err) {
			return fmt.Errorf("linking to the volume's files: %w", err)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("listing the volume's files: %w", err)
	}
	for _, entry := range entries {
		name := entry.Name()
		if names[name] || name == dataLink || name == current {
			continue
		}
		if err := filetree.Remove(context.Background(), filepath.Join(dir, name)); err != nil {
			return fmt.Errorf("removing the volume's old files: %w", err)
		}
	}
	return nil
}

// top are the names in the volume's own directory: of files there, and of directories that contain
// files.
func top(files content) map[string]bool {
	names := map[string]bool{}
	for at := range files {
		name, _, _ := strings.Cut(at, "/")
		names[name] = true
	}
	return names
}
