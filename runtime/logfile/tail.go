package logfile

import (
	"bytes"
	"errors"
	"io"
)

const (
	// tailBlock is how much a tailer reads at once, in bytes.
	tailBlock = 64 << 10
	// maxGap is how far before a record the tailer looks for an earlier part of the same line, in
	// bytes. Only records of the other stream can stand between the parts. Without a bound, it
	// would search the whole file for the part of a stream that has only one line.
	maxGap = 1 << 20
)

// newTailer looks for the last `lines` lines of the chosen streams among records before the
// position end, which are complete lines. Its start says for each stream from which position on its
// records belong to them.
func newTailer(end, lines int64, show [streams]bool) *tailer {
	return &tailer{show: show, left: lines, start: [streams]int64{end, end}}
}

// tailer reads records backwards and counts lines.
type tailer struct {
	show  [streams]bool
	left  int64          // lines still to be found
	start [streams]int64 // of each stream, the first record that counts
	seen  [streams]bool  // a record of the stream was met
	in    [streams]bool  // in a line that counts, whose start is not known yet
}

// done reports whether the search has ended.
func (t *tailer) done() bool { return t.left == 0 && t.in == [streams]bool{} }

// scan goes through the lines in the first size bytes of f from the end, until the search has
// ended. The file starts at the position base; it is older than those that were scanned before. It
// reads each block with the bytes behind it that a record's header may need.
func (t *tailer) scan(f io.ReaderAt, size, base int64) error {
	buf := make([]byte, tailBlock+maxHeader+1)
	end := int64(-1) // of the line whose start is looked for: where its newline stands
	for top := size; top > 0; {
		low := max(0, top-tailBlock)
		n, err := f.ReadAt(buf[:min(int64(len(buf)), size-low)], low)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		block := buf[:n]
		for i := min(int(top-low), n); ; {
			// The line that starts at low+i ends at end.
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

// line takes the line at the positions [at, end), of which data holds at least the header, and
// reports whether the search has ended.
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
	// An F record ends a line, and so does a P record behind which the stream has none.
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
