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

// The names of a log's files: its path; PATH.20060102-150405 for one that was rotated in this
// second (UTC), as the kubelet names them, with -000001 and so on behind it for others of that
// second; PATH.new for one that will become PATH at once. Rotated files never change their name,
// and names sort in the order in which the files were written.
const (
	rotatedLayout = "20060102-150405"
	rotatedMore   = "-%06d"
	lastMore      = 999_999
	newSuffix     = ".new"
)

// Files returns the files of the log at path that exist, oldest first; none is no error.
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

// Remove removes all files of the log at path. Followers end. There need not be any.
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

// Of returns the path of the log that a file belongs to, by the file's name: the file itself,
// unless it is a rotated one, or a new one that never became the log.
func Of(file string) string {
	if path, is := strings.CutSuffix(file, newSuffix); is {
		return path
	}
	if dot := strings.LastIndexByte(file, '.'); dot > 0 && isRotated(file[dot+1:]) {
		return file[:dot]
	}
	return file
}

// rotated returns the rotated files of the log at path, oldest first.
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

// isRotated reports whether this is what a rotated file has behind the dot.
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

// nextRotated returns the name for a file that is rotated now. It sorts behind those that exist,
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

// nextInSecond returns what follows a second's file.
func nextInSecond(second, more string) string {
	n := 0
	if more != "" {
		_, _ = fmt.Sscanf(more, rotatedMore, &n)
	}
	if n < lastMore {
		return second + fmt.Sprintf(rotatedMore, n+1)
	}
	at, err := time.Parse(rotatedLayout, second)
	if err != nil { // not a name of ours; a longer name sorts behind it
		return second + more + "0"
	}
	return at.Add(time.Second).Format(rotatedLayout)
}
