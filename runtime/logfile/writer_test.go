package logfile

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// newLog opens a log in a folder of the test.
func newLog(t testing.TB) (*Writer, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "0.log")
	w, err := Create(path, Rotation{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	return w, path
}

var stampForm = regexp.MustCompile(`(?m)^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z `)

// records returns the file's text with each stamp replaced by "T ".
func records(t testing.TB, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(stampForm.ReplaceAll(b, []byte("T ")))
}

func TestWriterRecords(t *testing.T) {
	k16 := strings.Repeat("x", 16384) // the constant of the CRI format in kubelets, not ours
	for _, tt := range []struct {
		name   string
		writes []string // to stdout, or to stderr if it starts with "2:"
		want   string
	}{
		{name: "nothing"},
		{name: "a line", writes: []string{"hello\n"}, want: "T stdout F hello\n"},
		{name: "an empty line", writes: []string{"\n"}, want: "T stdout F \n"},
		{name: "lines at once", writes: []string{"a\n\nb\n"}, want: "T stdout F a\nT stdout F \nT stdout F b\n"},
		{name: "a line in pieces", writes: []string{"a", "", "b", "c\nd", "\n"}, want: "T stdout F abc\nT stdout F d\n"},
		{name: "no newline at the end", writes: []string{"a\nb"}, want: "T stdout F a\nT stdout P b\n"},
		{
			name: "streams", writes: []string{"a", "2:b\n", "c\n", "2:d"},
			want: "T stderr F b\nT stdout F ac\nT stderr P d\n",
		},
		{name: "longest single record", writes: []string{k16 + "\n"}, want: "T stdout F " + k16 + "\n"},
		{name: "longest single record, newline later", writes: []string{k16, "\n"}, want: "T stdout F " + k16 + "\n"},
		{name: "one byte more", writes: []string{k16 + "y\n"}, want: "T stdout P " + k16 + "\nT stdout F y\n"},
		{name: "one byte more, later", writes: []string{k16, "y", "\n"}, want: "T stdout P " + k16 + "\nT stdout F y\n"},
		{
			name: "long without newline", writes: []string{k16 + k16 + "z"},
			want: "T stdout P " + k16 + "\nT stdout P " + k16 + "\nT stdout P z\n",
		},
		{
			name: "more than a batch", writes: []string{strings.Repeat(k16+"\n", 9) + "z"},
			want: strings.Repeat("T stdout F "+k16+"\n", 9) + "T stdout P z\n",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w, path := newLog(t)
			for _, text := range tt.writes {
				to := w.Stdout()
				if rest, is := strings.CutPrefix(text, "2:"); is {
					to, text = w.Stderr(), rest
				}
				if n, err := io.WriteString(to, text); n != len(text) || err != nil {
					t.Fatalf("write of %d bytes: %d, %v", len(text), n, err)
				}
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			if got := records(t, path); got != tt.want {
				t.Errorf("file:\n%.300s\nwant:\n%.300s", got, tt.want)
			}
		})
	}
}

func TestWriterLineIsThereAtOnce(t *testing.T) {
	w, path := newLog(t)
	before := time.Now()
	_, _ = io.WriteString(w.Stdout(), "hello\nwor")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	rec, ok := parse(bytes.TrimSuffix(b, []byte("\n")))
	if !ok || string(rec.text) != "hello" {
		t.Fatalf("file: %q", b)
	}
	at, err := time.Parse(time.RFC3339Nano, string(rec.stamp))
	if err != nil || at.Before(before.Truncate(0)) || at.After(time.Now()) {
		t.Errorf("written at %s (%v), between %s and now", at, err, before)
	}
}

func TestWriterFileMode(t *testing.T) {
	_, path := newLog(t)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode().Perm(); got&^0o640 != 0 || got&0o600 != 0o600 {
		t.Errorf("mode %o, want 640 less the umask", got)
	}
}

func TestWriterErrors(t *testing.T) {
	if _, err := Create(filepath.Join(t.TempDir(), "no", "0.log"), Rotation{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("create in a folder that is not there: %v", err)
	}
	w, _ := newLog(t)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Errorf("second close: %v", err)
	}
	if n, err := io.WriteString(w.Stdout(), "x"); n != 0 || !errors.Is(err, os.ErrClosed) {
		t.Errorf("write after close: %d, %v", n, err)
	}
}

func TestWriterContinuesFile(t *testing.T) {
	for _, tt := range []struct{ name, before, want string }{
		{"whole", "T stdout F a\n", "T stdout F a\nT stdout F new\n"},
		{"torn", "T stdout F a\nT stdo", "T stdout F a\nT stdo\nT stdout F new\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "0.log")
			if err := os.WriteFile(path, []byte(tt.before), 0o600); err != nil {
				t.Fatal(err)
			}
			w, err := Create(path, Rotation{})
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.WriteString(w.Stdout(), "new\n")
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			if got := records(t, path); got != tt.want {
				t.Errorf("file:\n%s\nwant:\n%s", got, tt.want)
			}
		})
	}
}

// fullDisk is a file on a disk with space for some more bytes.
type fullDisk struct {
	output
	room       int
	noTruncate bool
}

func (d *fullDisk) Write(p []byte) (int, error) {
	if len(p) <= d.room {
		d.room -= len(p)
		return d.output.Write(p)
	}
	n, _ := d.output.Write(p[:d.room])
	d.room = 0
	return n, syscall.ENOSPC
}

func (d *fullDisk) Truncate(size int64) error {
	if d.noTruncate {
		return syscall.EIO
	}
	return d.output.Truncate(size)
}

func TestWriterDiskFull(t *testing.T) {
	for _, noTruncate := range []bool{false, true} {
		w, path := newLog(t)
		_, _ = io.WriteString(w.Stdout(), "one\ntw")
		disk := &fullDisk{output: w.file, room: 20, noTruncate: noTruncate}
		w.file = disk
		n, err := io.WriteString(w.Stdout(), "o\nthree\n")
		if n != 0 || !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("write on a full disk: %d, %v", n, err)
		}
		disk.room = 1 << 20
		// The same bytes are written again now that there is space. Nothing is lost and nothing is
		// there twice.
		if _, err := io.WriteString(w.Stdout(), "o\nthree\n"); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if got, want := read(t, path, Options{}), "one\ntwo\nthree\n"; got != want {
			t.Errorf("log %q, want %q (truncate fails: %v)", got, want, noTruncate)
		}
	}
}

func TestWriterDiskFullAfterBatches(t *testing.T) {
	w, path := newLog(t)
	line := strings.Repeat("x", 1023) + "\n"
	text := strings.Repeat(line, 1000)
	disk := &fullDisk{output: w.file, room: 300_000}
	w.file = disk
	n, err := io.WriteString(w.Stdout(), text)
	if n == 0 || n == len(text) || !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("write on a full disk: %d, %v", n, err)
	}
	disk.room = 1 << 30
	if _, err := io.WriteString(w.Stdout(), text[n:]); err != nil {
		t.Fatal(err)
	}
	_ = w.Close()
	if got := read(t, path, Options{}); got != text {
		t.Errorf("log of %d bytes, want %d", len(got), len(text))
	}
}

func TestWriterConcurrent(t *testing.T) {
	w, path := newLog(t)
	var writers sync.WaitGroup
	line := strings.Repeat("abc", 100)
	for i := range 4 {
		to := w.Stdout()
		if i%2 == 1 {
			to = w.Stderr()
		}
		writers.Go(func() {
			for range 500 {
				if _, err := io.WriteString(to, line+"\n"); err != nil {
					t.Error(err)
				}
			}
		})
	}
	writers.Wait()
	_ = w.Close()
	if got, want := read(t, path, Options{}), strings.Repeat(line+"\n", 2000); got != want {
		t.Errorf("lines were mixed or lost: %d bytes, want %d", len(got), len(want))
	}
}
