package logfile

import (
	"bytes"
	"errors"
	"io"
)

// maxLine is the longest line that a scanner returns, in bytes. A Writer's lines are shorter than
// 17 KiB. No runtime writes records longer than maxLine, so a longer line is skipped.
const maxLine = 1 << 20

// file has the methods of an *os.File that a scanner needs.
type file interface {
	io.ReaderAt
	size() (int64, error)
}

// scanner returns the complete lines of a file that may still grow. At the end of the file it keeps
// nothing of an incomplete line, because the writer may cut it off after a failed write.
type scanner struct {
	f    file
	off  int64  // position in the file of the unread part of buf
	data []byte // read but not yet returned
	buf  []byte
	long bool // inside a line that is longer than maxLine
}

func newScanner(f file, off int64) *scanner {
	return &scanner{f: f, off: off, buf: make([]byte, 64<<10)}
}

// restart continues with another file, from its start.
func (s *scanner) restart(f file) {
	s.f, s.off, s.data, s.long = f, 0, s.data[:0], false
}

// next returns the next line without its newline, and its position in the file. The line is valid
// until the next call. At the end of the file the error is io.EOF; next may be called again later.
func (s *scanner) next() (line []byte, at int64, err error) {
	searched := 0
	for {
		if i := bytes.IndexByte(s.data[searched:], '\n'); i >= 0 {
			line, at = s.data[:searched+i], s.off
			s.skip(len(line) + 1)
			if s.long {
				s.long, searched = false, 0
				continue
			}
			return line, at, nil
		}
		if s.long || len(s.data) >= maxLine {
			s.long = true
			s.skip(len(s.data))
		}
		searched = len(s.data)
		if err := s.fill(); err != nil {
			s.data = s.data[:0]
			return nil, s.off, err
		}
	}
}

func (s *scanner) skip(n int) {
	s.data = s.data[n:]
	s.off += int64(n)
}

// fill reads the next bytes of the file and adds them to data.
func (s *scanner) fill() error {
	if len(s.data) == len(s.buf) {
		s.buf = make([]byte, 2*len(s.buf))
	}
	n := copy(s.buf, s.data)
	m, err := s.f.ReadAt(s.buf[n:], s.off+int64(n))
	s.data = s.buf[:n+m]
	switch {
	case m > 0:
		return nil
	case !errors.Is(err, io.EOF):
		return err
	}
	// The writer may have shortened the file, to the end of a record that is before the bytes
	// already read.
	size, err := s.f.size()
	if err != nil {
		return err
	}
	if size < s.off {
		s.off, s.long = size, false
	}
	return io.EOF
}
