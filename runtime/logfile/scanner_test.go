package logfile

import (
	"errors"
	"io"
	"strings"
	"testing"
)

// growing is a file in memory that may change between two reads.
type growing struct{ text string }

func (g *growing) ReadAt(p []byte, off int64) (int, error) {
	if off >= int64(len(g.text)) {
		return 0, io.EOF
	}
	return strings.NewReader(g.text).ReadAt(p, off)
}

func (g *growing) size() (int64, error) { return int64(len(g.text)), nil }

// lines returns all lines that a scanner has at this moment.
func lines(t *testing.T, s *scanner) string {
	t.Helper()
	var all []string
	for {
		line, _, err := s.next()
		if errors.Is(err, io.EOF) {
			return strings.Join(all, " ")
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, string(line))
	}
}

func TestScannerOfChangingFile(t *testing.T) {
	f := &growing{}
	s := newScanner(f, 0)
	for _, step := range []struct{ text, want string }{
		{"", ""},
		{"a\nb\n", "a b"},
		{"a\nb\nc", ""},
		{"a\nb\ncc\nd", "cc"},
		{"a\nb\ncc\nDDD\n", "DDD"}, // the incomplete end was cut off and written again
		{"a\nb\n", ""},             // complete lines were cut off, too, after they were read
		{"a\nb\ne\n", "e"},
		{"", ""}, // everything was cut off
		{"f\n", "f"},
	} {
		f.text = step.text
		if got := lines(t, s); got != step.want {
			t.Errorf("file %q: lines %q, want %q", step.text, got, step.want)
		}
	}
}

func TestScannerBoundsMemory(t *testing.T) {
	f := &growing{text: strings.Repeat("x", 20*maxLine) + "\na\n" + strings.Repeat("y", maxLine/2) + "\nb\n"}
	s := newScanner(f, 0)
	want := "a " + strings.Repeat("y", maxLine/2) + " b"
	if got := lines(t, s); got != want {
		t.Errorf("lines %.20q… of %d bytes, want %d", got, len(got), len(want))
	}
	if len(s.buf) > 2*maxLine {
		t.Errorf("a buffer of %d bytes", len(s.buf))
	}
}
