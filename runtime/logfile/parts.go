package logfile

import (
	"errors"
	"io"
	"os"
	"slices"
)

// part is an open file of a log. Positions in a log count bytes through its files, from the end that it had when
// it was opened, which is 0: what was there before is below.
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

// openParts opens files of the log at path, from the newest to the oldest, for as long as more says so of the one that
// was opened and of its bytes that are whole lines. They are returned in the order in which they were written.
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
			return parts, nil // removed meanwhile, as are those before it
		}
		if err != nil {
			return parts, err
		}
		older = older[:len(older)-1]
		parts = slices.Insert(parts, 0, &part{File: f})
	}
}

// newest opens the file of the log that was begun last, and says which ones come before it.
func newest(path string) (last *part, older []string, err error) {
	for {
		// Opened before the others are looked for: one that is rotated in between is found among them.
		f, err := os.Open(path)
		if errors.Is(err, os.ErrNotExist) {
			// Between the two steps of a rotation, or after a Writer that died there.
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
		_ = f.Close() // it was rotated and removed meanwhile, and the others may be younger
	}
}

// newestRotated is newest where there was no file at path. It is nil if all that there was changed meanwhile.
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

// openNext opens the file of the log at path that comes behind p, which is then complete; nil while there is none. Where
// p, and perhaps others behind it, were removed, it is the oldest that is there, and torn says so.
func openNext(path string, p *part) (next *part, torn bool, err error) {
	if isFile(p.File, path) {
		return nil, false, nil
	}
	f, err := os.Open(path) // before the others are looked for, see newest
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, false, err
	}
	files, err := rotated(path)
	if err != nil {
		return nil, false, errors.Join(err, closeFile(f))
	}
	i := position(p.File, files)
	if i < 0 && f == nil {
		return nil, false, nil // the log was removed, or is about to be
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

// position is where the open file is among those of the names; -1 if it is not. It is looked for from the youngest on.
func position(f *os.File, names []string) int {
	i := len(names) - 1
	for i >= 0 && !isFile(f, names[i]) {
		i--
	}
	return i
}

// isFile tells whether the open file is the one that has the name now.
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

// wholeSize is how many of a file's bytes are whole lines, now.
func wholeSize(p *part) (int64, error) {
	size, err := p.size()
	if err != nil {
		return 0, err
	}
	return wholeLines(p, size)
}

// wholeLines returns how many of the file's first size bytes are whole lines.
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
