package logfile

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// The names of a log's files. PATH is the log itself. PATH.20060102-150405 is a file that was
// rotated in this second (UTC), as the kubelet names them; further files of this second have
// -000001 and so on at the end. PATH.new is a file that will become PATH at once. Rotated files
// never change their name, and the sorted names are in the order in which the files were written.
const (
	rotatedLayout = "20060102-150405"
	rotatedMore   = "-%06d"
	lastMore      = 999_999
	newSuffix     = ".new"
)

// Files returns the existing files of the log at path, the oldest first. It is no error if there
// are none.
func Files(path string) ([]string, error) {
	files, err := rotated(path)
	if err != nil {
		return nil, fmt.Errorf("listing container log: %w", err)
	}
	if _, err := os.Lstat(path); err == nil {
		files = append(files, path)
	} else if !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("listing container log: %w", err)
	}
	return files, nil
}

// Remove removes all files of the log at path, if there are any. Followers end.
func Remove(path string) error {
	files, err := rotated(path)
	if err != nil {
		return fmt.Errorf("removing container log: %w", err)
	}
	var errs []error
	for _, file := range append(files, path+newSuffix, path) {
		if err := os.Remove(file); err != nil && !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, fmt.Errorf("removing container log: %w", err))
		}
	}
	return errors.Join(errs...)
}

// Of returns the path of the log that a file belongs to. It uses only the file's name. The result
// is the file itself, unless it is a rotated file or a new file that never became the log.
func Of(file string) string {
	if path, is := strings.CutSuffix(file, newSuffix); is {
		return path
	}
	if dot := strings.LastIndexByte(file, '.'); dot > 0 && isRotated(file[dot+1:]) {
		return file[:dot]
	}
	return file
}

// rotated returns the rotated files of the log at path, the oldest first.
func rotated(path string) ([]string, error) {
	dir, err := os.Open(filepath.Dir(path))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	names, err := dir.Readdirnames(-1)
	_ = dir.Close()
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil // it was removed after it was opened
	}
	if err != nil {
		return nil, err
	}
	prefix := filepath.Base(path) + "."
	var files []string
	for _, name := range names {
		if stamp, is := strings.CutPrefix(name, prefix); is && isRotated(stamp) {
			files = append(files, path+"."+stamp)
		}
	}
	slices.Sort(files)
	return files, nil
}

// isRotated reports whether stamp has the form of the part after the dot in a rotated file's name.
func isRotated(stamp string) bool {
	const form = "dddddddd-dddddd-dddddd"
	if len(stamp) != len(rotatedLayout) && len(stamp) != len(form) {
		return false
	}
	for i := range len(stamp) {
		digit := stamp[i] >= '0' && stamp[i] <= '9'
		if form[i] == 'd' && !digit || form[i] == '-' && stamp[i] != '-' {
			return false
		}
	}
	return true
}

// nextRotated returns the name for the file that is now rotated. It comes after the existing names,
// even if the clock was set back.
func nextRotated(path string, existing []string, now time.Time) string {
	stamp := now.UTC().Format(rotatedLayout)
	if len(existing) > 0 {
		last := strings.TrimPrefix(existing[len(existing)-1], path+".")
		if second := last[:len(rotatedLayout)]; second >= stamp {
			stamp = nextInSecond(second, last[len(second):])
		}
	}
	return path + "." + stamp
}

// nextInSecond returns the next name after a file of the same second.
func nextInSecond(second, more string) string {
	n := 0
	if more != "" {
		_, _ = fmt.Sscanf(more, rotatedMore, &n)
	}
	if n < lastMore {
		return second + fmt.Sprintf(rotatedMore, n+1)
	}
	at, err := time.Parse(rotatedLayout, second)
	if err != nil { // not one of our names; a longer name sorts after it
		return second + more + "0"
	}
	return at.Add(time.Second).Format(rotatedLayout)
}
