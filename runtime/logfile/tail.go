package logfile

import (
	"bytes"
	"errors"
	"io"
)

const (
	// tailBlock is how much a tailer reads at once, in bytes.
	tailBlock = 64 << 10
	// maxGap is how far before a record the tailer searches for an earlier part of the same line,
	// in bytes. Only records of the other stream can be between the parts. Without this bound, it
	// would search the whole file for the part of a stream that has only one line.
	maxGap = 1 << 20
)

// newTailer searches for the last `lines` lines of the selected streams. It uses the records before
// the position end, which are complete lines. For each stream, start is the position of the first
// record that belongs to these lines.
func newTailer(end, lines int64, show [streams]bool) *tailer {
	return &tailer{show: show, left: lines, start: [streams]int64{end, end}}
}

// tailer reads records backwards and counts lines.
type tailer struct {
	show  [streams]bool
	left  int64          // number of lines that are still to be found
	start [streams]int64 // for each stream, the first record that counts
	seen  [streams]bool  // whether a record of the stream was found
	in    [streams]bool  // inside a line that counts, whose start is not known yet
}

// done reports whether the search has ended.
func (t *tailer) done() bool { return t.left == 0 && t.in == [streams]bool{} }

// scan goes backwards through the lines in the first size bytes of f, until the search has ended.
// base is the position of the file's start. The file is older than those that were scanned before.
// scan reads each block together with the following bytes that the header of a record may need.
func (t *tailer) scan(f io.ReaderAt, size, base int64) error {
	buf := make([]byte, tailBlock+maxHeader+1)
	end := int64(-1) // position of the newline of the line whose start is searched
	for top := size; top > 0; {
		low := max(0, top-tailBlock)
		n, err := f.ReadAt(buf[:min(int64(len(buf)), size-low)], low)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		block := buf[:n]
		for i := min(int(top-low), n); ; {
			// The line that starts after the newline at low+i ends at end.
			i = bytes.LastIndexByte(block[:i], '\n')
			if i < 0 {
				break
			}
			if end >= 0 && t.line(block[i+1:], base+low+int64(i)+1, base+end) {
				return nil
			}
			end = low + int64(i)
		}
		top = low
		if low == 0 && end >= 0 {
			t.line(block, base, base+end)
		}
	}
	return nil
}

// line handles the line at the positions [at, end), and reports whether the search has ended. data
// has at least the line's header.
func (t *tailer) line(data []byte, at, end int64) bool {
	if int64(len(data)) > end-at {
		data = data[:end-at]
	}
	if rec, ok := parse(data); ok && t.show[rec.stream] {
		t.record(rec.stream, rec.partial, at)
	}
	for s := range t.in {
		if t.in[s] && t.start[s]-at > maxGap {
			t.in[s] = false
		}
	}
	return t.done()
}

func (t *tailer) record(s int, partial bool, at int64) {
	// An F record ends a line. A P record also ends a line if it is the stream's last record.
	if ends := !partial || !t.seen[s]; ends {
		t.in[s] = t.left > 0
		if t.in[s] {
			t.left--
		}
	}
	t.seen[s] = true
	if t.in[s] {
		t.start[s] = at
	}
}
