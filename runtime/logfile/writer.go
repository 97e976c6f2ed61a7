package logfile

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

// maxBatch is the size in bytes at which a batch of records is written, even if the guest's write
// has more. It bounds a Writer's memory.
const maxBatch = 64 << 10

// Writer writes the log file of one container. It may be used from any goroutine.
type Writer struct {
	streams [streams]stream

	mu     sync.Mutex
	file   output
	size   int64 // of the file, up to the end of its last complete record
	torn   bool  // bytes of a failed write are after size and could not be cut off
	closed bool
	batch  []byte // records that are not written to the file yet
	clock  stampClock
	rot    rotation
}

// output has the methods of an open file that a Writer needs.
type output interface {
	io.WriteCloser
	Truncate(size int64) error
}

// stream is one of a Writer's two streams. The Writer's mutex guards its fields.
type stream struct {
	w       *Writer
	name    Stream
	pending []byte // text of a line without a newline yet, at most maxPart bytes
	midLine bool   // the stream's last record in the file is part of a line that continues
}

// fileMode is the mode of a log's files.
const fileMode = 0o640

// Create opens the log file at path for writing, mode 0640. Its folder must exist. An existing file
// is continued. If a crash left its last record without a newline, Create adds one first.
func Create(path string, limits Rotation) (*Writer, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_RDWR, fileMode)
	if err != nil {
		return nil, fmt.Errorf("creating container log: %w", err)
	}
	w := &Writer{file: f, rot: rotation{Rotation: limits, path: path}}
	w.streams[stdout] = stream{w: w, name: Stdout}
	w.streams[stderr] = stream{w: w, name: Stderr}
	if w.size, w.torn, err = endOf(f); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("continuing container log: %w", err)
	}
	w.rot.tell(w.rot.prune()) // an earlier Writer may have left one file too many
	return w, nil
}

// endOf returns the end of the file, and whether the last record there is incomplete.
func endOf(f *os.File) (size int64, torn bool, err error) {
	info, err := f.Stat()
	if err != nil || info.Size() == 0 {
		return 0, false, err
	}
	var last [1]byte
	if _, err := f.ReadAt(last[:], info.Size()-1); err != nil {
		return 0, false, err
	}
	return info.Size(), last[0] != '\n', nil
}

// Stdout returns the writer for the guest's standard output. It may be used until w is closed.
func (w *Writer) Stdout() io.Writer { return &w.streams[stdout] }

// Stderr returns the writer for the guest's standard error. It may be used until w is closed.
func (w *Writer) Stderr() io.Writer { return &w.streams[stderr] }

// Write takes text of the stream. On an error it returns how many bytes of p were taken. The others
// are not in the file and not in memory, so the caller may write them again.
func (s *stream) Write(p []byte) (int, error) {
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	if s.w.closed {
		return 0, fmt.Errorf("writing container log: %w", os.ErrClosed)
	}
	taken := 0
	for taken < len(p) {
		n, err := s.take(p[taken:])
		if err != nil {
			return taken, fmt.Errorf("writing container log: %w", err)
		}
		taken += n
	}
	return taken, nil
}

// take writes the lines that p completes, up to a batch, and keeps the text after the last one. It
// returns how many bytes of p it used. On an error nothing has changed.
func (s *stream) take(p []byte) (int, error) {
	w := s.w
	w.batch = w.batch[:0]
	head, n := s.pending, 0 // head is the start of the current line
	var wait []byte         // the text after the last newline of p
	before, whole := s.midLine, w.betweenLines()
	for n < len(p) && len(w.batch) < maxBatch {
		rest, room := p[n:], maxPart-len(head)
		// A part is cut only when text follows it, so a line of exactly maxPart is one record.
		end := bytes.IndexByte(rest[:min(len(rest), room+1)], '\n')
		tag, used := byte('F'), end+1
		if end < 0 {
			if len(rest) <= room {
				wait, n = rest, len(p)
				break
			}
			tag, end, used = 'P', room, room
		}
		if !w.fits(len(head) + end) {
			break
		}
		w.add(s.name, tag, head, rest[:end])
		s.midLine = tag == 'P'
		head, n = nil, n+used
	}
	if err := w.flush(whole); err != nil {
		s.midLine = before
		return 0, err
	}
	s.pending = append(s.pending[:len(head)], wait...)
	return n, nil
}

// betweenLines reports whether each stream's last line in the file is complete.
func (w *Writer) betweenLines() bool { return !w.streams[stdout].midLine && !w.streams[stderr].midLine }

// fits reports whether a record with a text of this length may go into the batch. The last batch of
// a file ends where the next file may begin.
func (w *Writer) fits(text int) bool {
	size := w.size + int64(len(w.batch)+len(w.clock.stamp)+len(" stdout F ")+text+1)
	return w.rot.MaxSize <= 0 || size <= w.rot.MaxSize || w.rot.failing || len(w.batch) == 0 || !w.betweenLines()
}

// add adds a record to the batch. All records of a batch have the time of the first one.
func (w *Writer) add(name Stream, tag byte, head, text []byte) {
	if len(w.batch) == 0 {
		w.clock.read(time.Now())
		if w.torn {
			w.batch = append(w.batch, '\n')
		}
	}
	b := append(w.batch, w.clock.stamp[:]...)
	b = append(b, ' ')
	b = append(b, name...)
	b = append(b, ' ', tag, ' ')
	b = append(b, head...)
	b = append(b, text...)
	w.batch = append(b, '\n')
}

// flush writes the whole batch, or nothing. whole means that the batch continues no line.
func (w *Writer) flush(whole bool) error {
	if len(w.batch) == 0 {
		return nil
	}
	w.makeRoom(whole)
	n, err := w.file.Write(w.batch)
	if err == nil {
		w.size += int64(n)
		w.torn = false
		return nil
	}
	if n > 0 && w.file.Truncate(w.size) != nil {
		// The next batch starts with a newline, which completes the torn line.
		w.size += int64(n)
		w.torn = true
	}
	return err
}

// Close writes the text that waits for a newline. For each stream this is a record whose line
// continues, so that a reader gets the text without a newline, as the guest wrote it. Then Close
// closes the file. Later writes fail with os.ErrClosed; a second Close has no effect.
func (w *Writer) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return nil
	}
	w.closed = true
	w.batch = w.batch[:0]
	whole := w.betweenLines()
	for i := range w.streams {
		if s := &w.streams[i]; len(s.pending) > 0 {
			w.add(s.name, 'P', nil, s.pending)
			s.pending = nil
		}
	}
	err := w.flush(whole)
	w.batch = nil
	if cerr := w.file.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("closing container log: %w", err)
	}
	return nil
}

// stampClock formats times. It formats the whole second once and then only the fraction, which
// takes a tenth of the time.
type stampClock struct {
	second int64
	stamp  [len("2006-01-02T15:04:05.000000000Z")]byte
}

func (c *stampClock) read(now time.Time) {
	if s := now.Unix(); s != c.second || c.stamp[0] == 0 {
		c.second = s
		now.UTC().AppendFormat(c.stamp[:0], timeLayout)
	}
	n := now.Nanosecond()
	for i := len(c.stamp) - 2; i > len("2006-01-02T15:04:05"); i-- {
		c.stamp[i] = byte('0' + n%10)
		n /= 10
	}
}
