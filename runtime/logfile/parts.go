package logfile

import (
	"errors"
	"io"
	"os"
	"slices"
)

// part is an open file of a log. Positions in a log count the bytes of all its files. Position 0 is
// the end that the newest file had when it was opened; older bytes have negative positions.
type part struct {
	*os.File
	base int64 // position of its first byte
}

func (p *part) size() (int64, error) {
	info, err := p.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// openParts opens files of the log at path, from the newest to the oldest, as long as more returns
// true. more gets the opened file and the size of its complete lines. The result is in the order in
// which the files were written.
func openParts(path string, more func(p *part, size int64) (bool, error)) (parts []*part, err error) {
	last, older, err := newest(path)
	if err != nil {
		return nil, err
	}
	parts = []*part{last}
	for end := int64(0); ; {
		p := parts[0]
		size, err := wholeSize(p)
		if err != nil {
			return parts, err
		}
		p.base = end - size
		end = p.base
		if on, err := more(p, size); err != nil || !on || len(older) == 0 {
			return parts, err
		}
		f, err := os.Open(older[len(older)-1])
		if errors.Is(err, os.ErrNotExist) {
			return parts, nil // it was removed in the meantime, and so were the older ones
		}
		if err != nil {
			return parts, err
		}
		older = older[:len(older)-1]
		parts = slices.Insert(parts, 0, &part{File: f})
	}
}

// newest opens the newest file of the log, and returns the names of the older ones.
func newest(path string) (last *part, older []string, err error) {
	for {
		// PATH is opened before the others are listed. If it is rotated in between, it is found
		// among the others.
		f, err := os.Open(path)
		if errors.Is(err, os.ErrNotExist) {
			// This happens between the two steps of a rotation, or after a Writer whose process
			// exited there.
			last, older, err := newestRotated(path)
			if err != nil || last != nil {
				return last, older, err
			}
			continue
		}
		if err != nil {
			return nil, nil, err
		}
		files, err := rotated(path)
		if err != nil {
			return nil, nil, errors.Join(err, f.Close())
		}
		i := position(f, files)
		if i < 0 && isFile(f, path) {
			i = len(files)
		}
		if i >= 0 {
			return &part{File: f}, files[:i], nil
		}
		_ = f.Close() // it was rotated and removed in the meantime, and the others may be newer
	}
}

// newestRotated does the work of newest when there is no file at path. The part is nil if all files
// changed in the meantime.
func newestRotated(path string) (last *part, older []string, err error) {
	files, err := rotated(path)
	if err != nil {
		return nil, nil, err
	}
	for n := len(files); n > 0; n-- {
		if f, err := os.Open(files[n-1]); err == nil {
			return &part{File: f}, files[:n-1], nil
		} else if !errors.Is(err, os.ErrNotExist) {
			return nil, nil, err
		}
	}
	if len(files) == 0 {
		_, err = os.Lstat(path)
	}
	return nil, nil, err
}

// openNext opens the file of the log at path that follows p. Then p is complete. It returns nil
// while there is no such file. If p was removed, and perhaps also some files that follow it, it
// opens the oldest file, and torn is true.
func openNext(path string, p *part) (next *part, torn bool, err error) {
	if isFile(p.File, path) {
		return nil, false, nil
	}
	f, err := os.Open(path) // before the others are listed: see newest
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, false, err
	}
	files, err := rotated(path)
	if err != nil {
		return nil, false, errors.Join(err, closeFile(f))
	}
	i := position(p.File, files)
	if i < 0 && f == nil {
		return nil, false, nil // the log was removed, or is being removed
	}
	torn = i < 0
	for _, file := range files[i+1:] {
		g, err := os.Open(file)
		if errors.Is(err, os.ErrNotExist) {
			torn = true
			continue
		}
		if err != nil {
			return nil, false, errors.Join(err, closeFile(f))
		}
		return &part{File: g}, torn, closeFile(f)
	}
	if f == nil {
		return nil, false, nil
	}
	return &part{File: f}, torn, nil
}

// position returns the index of the open file's name among the names, or -1. It checks the newest
// first.
func position(f *os.File, names []string) int {
	i := len(names) - 1
	for i >= 0 && !isFile(f, names[i]) {
		i--
	}
	return i
}

// isFile reports whether the name now belongs to the open file.
func isFile(f *os.File, name string) bool {
	have, err := f.Stat()
	if err != nil {
		return false
	}
	there, err := os.Lstat(name)
	return err == nil && os.SameFile(have, there)
}

func closeFile(f *os.File) error {
	if f == nil {
		return nil
	}
	return f.Close()
}

// wholeSize returns how many bytes of a file are complete lines at this moment.
func wholeSize(p *part) (int64, error) {
	size, err := p.size()
	if err != nil {
		return 0, err
	}
	return wholeLines(p, size)
}

// wholeLines returns how many of the file's first size bytes belong to complete lines.
func wholeLines(f io.ReaderAt, size int64) (int64, error) {
	buf := make([]byte, 4<<10)
	for size > 0 {
		low := max(0, size-int64(len(buf)))
		n, err := f.ReadAt(buf[:size-low], low)
		if err != nil && !errors.Is(err, io.EOF) {
			return 0, err
		}
		for i := n - 1; i >= 0; i-- {
			if buf[i] == '\n' {
				return low + int64(i) + 1, nil
			}
		}
		size = low
	}
	return 0, nil
}
