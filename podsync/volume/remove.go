package volume

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/krustlet-go/krustlet-wasi/runtime/filetree"
)

// Remove removes a folder that may contain volumes, with everything in it. It unmounts volumes in
// memory, and the root directories of containers (podsync/overlay). If another file system is
// mounted there, it removes nothing, and the error names that mount. If the folder does not exist,
// it returns nil. If ctx ends, it leaves some of the files.
func Remove(ctx context.Context, dir string) error {
	real, err := filepath.EvalSymlinks(filepath.Dir(dir))
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	dir = filepath.Join(real, filepath.Base(dir))
	if _, err := os.Lstat(dir); os.IsNotExist(err) {
		return nil // the table of mounts may be long, so it is not read
	}
	if err := Unmount(dir); err != nil {
		return err
	}
	return filetree.Remove(ctx, dir)
}

// Unmount unmounts everything that this package mounted at a folder and below it.
func Unmount(dir string) error {
	mounts, err := mountsBelow(dir)
	if err != nil {
		return err
	}
	for _, m := range mounts {
		if m.source != tmpfsSource {
			return fmt.Errorf("%s is mounted at %s", m.source, m.at)
		}
	}
	for _, m := range slices.Backward(mounts) { // the last mount first
		if err := unix.Unmount(m.at, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW); err != nil {
			return &os.PathError{Op: "unmount", Path: m.at, Err: err}
		}
	}
	return nil
}

type mount struct{ at, source string }

// mountsBelow are the mounts at dir and below it, in the order in which they were made.
func mountsBelow(dir string) ([]mount, error) {
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("reading what is mounted: %w", err)
	}
	return parseMounts(string(table), dir), nil
}

// parseMounts reads /proc/self/mountinfo (man 5 proc): the fifth field is the mount point, and the
// second after " - " is the source.
func parseMounts(table, dir string) []mount {
	var found []mount
	for line := range strings.Lines(table) {
		fields := strings.Fields(line)
		end := slices.Index(fields, "-")
		if end < 5 || len(fields) < end+3 {
			continue
		}
		at := unescape(fields[4])
		if at == dir || strings.HasPrefix(at, dir+"/") {
			found = append(found, mount{at, unescape(fields[end+2])})
		}
	}
	return found
}

// unescape undoes escapes such as \040. They stand for spaces, tabs, newlines and backslashes.
func unescape(field string) string {
	var out strings.Builder
	for i := 0; i < len(field); i++ {
		if field[i] == '\\' && i+3 < len(field) {
			if code, err := strconv.ParseUint(field[i+1:i+4], 8, 8); err == nil {
				out.WriteByte(byte(code))
				i += 3
				continue
			}
		}
		out.WriteByte(field[i])
	}
	return out.String()
}
