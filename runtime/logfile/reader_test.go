package logfile

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// read returns the output of Read.
func read(t testing.TB, path string, opts Options) string {
	t.Helper()
	var out bytes.Buffer
	if err := Read(t.Context(), &out, path, opts); err != nil {
		t.Fatalf("Read: %v", err)
	}
	return out.String()
}

// fileOf writes a log file with the given lines. "T" stands for the base time plus the line's
// number in seconds.
func fileOf(t testing.TB, lines ...string) string {
	t.Helper()
	var b strings.Builder
	for i, line := range lines {
		if rest, is := strings.CutPrefix(line, "T "); is {
			line = stampAt(i) + " " + rest
		}
		b.WriteString(line)
	}
	path := filepath.Join(t.TempDir(), "0.log")
	if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

var base = time.Date(2026, 1, 2, 15, 4, 0, 0, time.UTC)

func stampAt(i int) string {
	return base.Add(time.Duration(i) * time.Second).Format(timeLayout)
}

func TestRead(t *testing.T) {
	plain := []string{
		"T stdout F one\n", "T stderr F two\n", "T stdout F three\n", "T stderr F four\n", "T stdout F five\n",
	}
	long := []string{
		"T stdout F one\n", "T stdout P tw\n", "T stdout P o an\n", "T stdout F d more\n", "T stderr F three\n",
	}
	mixed := []string{
		"T stdout F one\n", "T stdout P tw\n", "T stderr F three\n", "T stdout F o\n", "T stderr P fo\n", "T stderr F ur\n",
	}
	for _, tt := range []struct {
		name  string
		lines []string
		opts  Options
		want  string
	}{
		{name: "empty"},
		{name: "all", lines: plain, want: "one\ntwo\nthree\nfour\nfive\n"},
		{name: "stdout", lines: plain, opts: Options{Stream: Stdout}, want: "one\nthree\nfive\n"},
		{name: "stderr", lines: plain, opts: Options{Stream: Stderr}, want: "two\nfour\n"},
		{name: "tail 0", lines: plain, opts: Options{TailLines: new(int64(0))}},
		{name: "tail 2", lines: plain, opts: Options{TailLines: new(int64(2))}, want: "four\nfive\n"},
		{name: "tail of all", lines: plain, opts: Options{TailLines: new(int64(5))}, want: "one\ntwo\nthree\nfour\nfive\n"},
		{name: "tail of more", lines: plain, opts: Options{TailLines: new(int64(50))}, want: "one\ntwo\nthree\nfour\nfive\n"},
		{name: "tail of nothing", opts: Options{TailLines: new(int64(5))}},
		{name: "tail of a stream", lines: plain, opts: Options{TailLines: new(int64(2)), Stream: Stdout}, want: "three\nfive\n"},
		{name: "limit", lines: plain, opts: Options{LimitBytes: new(int64(6))}, want: "one\ntw"},
		{name: "limit 0", lines: plain, opts: Options{LimitBytes: new(int64(0))}},
		{name: "limit of all", lines: plain, opts: Options{LimitBytes: new(int64(1000))}, want: "one\ntwo\nthree\nfour\nfive\n"},
		{name: "tail and limit", lines: plain, opts: Options{TailLines: new(int64(2)), LimitBytes: new(int64(6))}, want: "four\nf"},
		{name: "since", lines: plain, opts: Options{SinceTime: base.Add(2 * time.Second)}, want: "three\nfour\nfive\n"},
		{name: "since later", lines: plain, opts: Options{SinceTime: base.Add(time.Hour)}},
		{name: "since and tail", lines: plain, opts: Options{SinceTime: base.Add(4 * time.Second), TailLines: new(int64(3))}, want: "five\n"},
		{name: "since a time that is none", lines: []string{"2026-02-30T00:00:00Z stdout F a\n"}, opts: Options{SinceTime: base}, want: "a\n"},
		{
			name: "timestamps", lines: plain[:2], opts: Options{Timestamps: true},
			want: stampAt(0) + " one\n" + stampAt(1) + " two\n",
		},
		{name: "long line", lines: long, want: "one\ntwo and more\nthree\n"},
		{name: "long line, tail 1", lines: long, opts: Options{TailLines: new(int64(1))}, want: "three\n"},
		{name: "long line, tail 2", lines: long, opts: Options{TailLines: new(int64(2))}, want: "two and more\nthree\n"},
		{
			name: "long line, timestamps", lines: long[:4], opts: Options{Timestamps: true},
			want: stampAt(0) + " one\n" + stampAt(1) + " two and more\n",
		},
		{name: "long line that began before", lines: long, opts: Options{SinceTime: base.Add(2 * time.Second)}, want: "three\n"},
		{name: "mixed", lines: mixed, want: "one\ntw\nthree\no\nfour\n"},
		{name: "mixed, stdout", lines: mixed, opts: Options{Stream: Stdout}, want: "one\ntwo\n"},
		{name: "mixed, stderr", lines: mixed, opts: Options{Stream: Stderr}, want: "three\nfour\n"},
		{name: "mixed, tail 2", lines: mixed, opts: Options{TailLines: new(int64(2))}, want: "two\nfour\n"},
		{name: "mixed, tail 3", lines: mixed, opts: Options{TailLines: new(int64(3))}, want: "tw\nthree\no\nfour\n"},
		{
			name: "mixed, timestamps", lines: mixed[1:4], opts: Options{Timestamps: true},
			want: stampAt(0) + " tw\n" + stampAt(1) + " three\n" + stampAt(2) + " o\n",
		},
		{name: "line without end", lines: []string{"T stdout F one\n", "T stdout P tw\n"}, want: "one\ntw"},
		{
			name: "line without end, tail", lines: []string{"T stdout F one\n", "T stdout P tw\n", "T stdout P o\n"},
			opts: Options{TailLines: new(int64(1))}, want: "two",
		},
		{name: "torn at the end", lines: []string{"T stdout F one\n", "T stdout F tw"}, want: "one\n"},
		{name: "torn at the end, tail", lines: []string{"T stdout F one\n", "T stdout F tw"}, opts: Options{TailLines: new(int64(1))}, want: "one\n"},
		{name: "nothing but torn, tail", lines: []string{"T stdout F tw"}, opts: Options{TailLines: new(int64(1))}},
		{name: "garbage between", lines: []string{"\n\x00\x00\n", "T stdout F one\n", "2026-\n", "T stdout F two\n"}, want: "one\ntwo\n"},
		{
			name: "garbage between, tail", lines: []string{"T stdout F one\n", "2026-\n", "T stdout F two\n", "\n\n"},
			opts: Options{TailLines: new(int64(2))}, want: "one\ntwo\n",
		},
		{name: "endless garbage", lines: []string{strings.Repeat("x", 3*maxLine), "\n", "T stdout F one\n"}, want: "one\n"},
		{name: "binary", lines: []string{"T stdout F a\x00\xff\x1b[0m\r\n"}, want: "a\x00\xff\x1b[0m\r\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := read(t, fileOf(t, tt.lines...), tt.opts); got != tt.want {
				t.Errorf("shown:\n%q\nwant:\n%q", got, tt.want)
			}
		})
	}
}

func TestReadErrors(t *testing.T) {
	path := fileOf(t, "T stdout F one\n")
	for _, opts := range []Options{{Stream: "stdin"}, {TailLines: new(int64(-1))}, {LimitBytes: new(int64(-1))}} {
		if err := Read(t.Context(), io.Discard, path, opts); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%+v: %v", opts, err)
		}
	}
	if err := Read(t.Context(), io.Discard, path+"x", Options{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	gone := errors.New("the client went")
	r, w := io.Pipe()
	_ = r.CloseWithError(gone)
	if err := Read(t.Context(), w, path, Options{}); !errors.Is(err, gone) {
		t.Errorf("a writer that fails: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Read(ctx, io.Discard, path, Options{Follow: true}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// longLog writes n lines of various lengths and returns them. Every tenth line goes to stderr.
func longLog(t testing.TB, n int) (path string, lines []string) {
	t.Helper()
	w, path := newLog(t)
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range n {
		to, name := w.Stdout(), "out"
		if i%10 == 0 {
			to, name = w.Stderr(), "err"
		}
		length := rng.IntN(200)
		if i%500 == 499 {
			length = 3*maxPart + rng.IntN(maxPart)
		}
		line := fmt.Sprintf("%d %s %s\n", i, name, strings.Repeat("x", length))
		lines = append(lines, line)
		if _, err := io.WriteString(to, line); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return path, lines
}

func TestTailOfLargeFile(t *testing.T) {
	path, lines := longLog(t, 10_000)
	for _, n := range []int{1, 2, 3, 10, 499, 500, 501, 5000, 9_999, 10_000, 10_001} {
		want := strings.Join(lines[max(0, len(lines)-n):], "")
		if got := read(t, path, Options{TailLines: new(int64(n))}); got != want {
			t.Errorf("tail %d: %d bytes, want %d", n, len(got), len(want))
		}
		var errs []string
		for _, line := range lines {
			if strings.Contains(line, " err ") {
				errs = append(errs, line)
			}
		}
		want = strings.Join(errs[max(0, len(errs)-n):], "")
		if got := read(t, path, Options{TailLines: new(int64(n)), Stream: Stderr}); got != want {
			t.Errorf("tail %d of stderr: %d bytes, want %d", n, len(got), len(want))
		}
	}
}

// countedFile counts the bytes that are read.
type countedFile struct {
	io.ReaderAt
	n int64
}

func (f *countedFile) ReadAt(p []byte, off int64) (int, error) {
	n, err := f.ReaderAt.ReadAt(p, off)
	f.n += int64(n)
	return n, err
}

func TestTailReadsLittle(t *testing.T) {
	// One old line of stdout is followed by 5 MB of stderr. Read must not search the whole file for
	// an earlier part of this line.
	var log bytes.Buffer
	for i := range 50_000 {
		stream := "stderr"
		if i == 49_990 {
			stream = "stdout"
		}
		fmt.Fprintf(&log, "%s %s F %070d\n", stampAt(i), stream, i)
	}
	f := &countedFile{ReaderAt: bytes.NewReader(log.Bytes())}
	size := int64(log.Len())
	tail := newTailer(size, 10, [streams]bool{true, true})
	if err := tail.scan(f, size, 0); err != nil {
		t.Fatal(err)
	}
	start := tail.start
	line := size / 50_000
	if from := min(start[stdout], start[stderr]); size-from < 10*line || size-from > 11*line+100 {
		t.Errorf("tail of 10 lines of %d bytes starts %d bytes before the end", line, size-from)
	}
	if f.n > 2*maxGap {
		t.Errorf("tail of 10 lines read %d bytes", f.n)
	}
}

// TestTailModel compares the tail of random mixtures of records with a simple calculation.
func TestTailModel(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 60 {
		var lines []string
		for range rng.IntN(30) {
			stream, tag := "stdout", "F"
			if rng.IntN(3) == 0 {
				stream = "stderr"
			}
			if rng.IntN(2) == 0 {
				tag = "P"
			}
			text := strings.Repeat("x", rng.IntN(20))
			if rng.IntN(20) == 0 {
				text = strings.Repeat("y", rng.IntN(2*tailBlock))
			}
			lines = append(lines, fmt.Sprintf("T %s %s %s%d\n", stream, tag, text, len(lines)))
		}
		path := fileOf(t, lines...)
		for n := range int64(8) {
			for _, stream := range []Stream{"", Stdout, Stderr} {
				want := tailModel(t, path, n, stream)
				if got := read(t, path, Options{TailLines: &n, Stream: stream}); got != want {
					t.Fatalf("tail %d of %q of\n%.2000q\nshows\n%.500q\nwant\n%.500q", n, stream, lines, got, want)
				}
			}
		}
	}
}

// tailModel shows the records of the last n lines. It goes through the whole file to find them.
func tailModel(t *testing.T, path string, n int64, stream Stream) string {
	opts := Options{Stream: stream}
	show, err := opts.shows()
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	type line struct{ last int }
	var recs []record
	var of []*line // the line that each record belongs to
	open := [streams]*line{}
	for i, text := range bytes.Split(bytes.TrimSuffix(data, []byte("\n")), []byte("\n")) {
		rec, ok := parse(text)
		if !ok || !show[rec.stream] {
			recs, of = append(recs, rec), append(of, nil)
			continue
		}
		if open[rec.stream] == nil {
			open[rec.stream] = &line{}
		}
		open[rec.stream].last = i
		recs, of = append(recs, rec), append(of, open[rec.stream])
		if !rec.partial {
			open[rec.stream] = nil
		}
	}
	chosen := map[*line]bool{}
	for i := len(recs) - 1; i >= 0 && int64(len(chosen)) < n; i-- {
		if of[i] != nil && of[i].last == i {
			chosen[of[i]] = true
		}
	}
	var out bytes.Buffer
	p := newPrinter(&out, &opts, show)
	for i, rec := range recs {
		if of[i] != nil && chosen[of[i]] {
			if err := p.print(rec, 0); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := p.flush(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// FuzzRoundTrip writes bytes in pieces to both streams and reads each stream back.
func FuzzRoundTrip(f *testing.F) {
	f.Add([]byte("hello\nworld"), uint64(1))
	f.Add([]byte("\n\n\x00\xff\n"), uint64(2))
	for seed := range uint64(20) {
		f.Add(bytes.Repeat([]byte("0123456789abcde\n"), 10), seed)
	}
	f.Fuzz(func(t *testing.T, text []byte, seed uint64) {
		rng := rand.New(rand.NewPCG(seed, 0))
		// A fuzzer rarely produces lines as long as a record, so pieces are repeated.
		if len(text) > 0 && rng.IntN(2) == 0 {
			i := rng.IntN(len(text))
			text = append(bytes.Repeat(text[:i+1], 1+rng.IntN(2*maxPart/(i+1)+1)), text...)
		}
		path := filepath.Join(t.TempDir(), "0.log")
		limits := Rotation{MaxFiles: 1 << 20, Failed: func(err error) { t.Error(err) }}
		if rng.IntN(2) == 0 {
			limits.MaxSize = 1 + rng.Int64N(1+rng.Int64N(4*maxPart))
			if few := int64(len(text) / 500); limits.MaxSize < few { // so that the test does not make too many files
				limits.MaxSize = few
			}
		}
		w, err := Create(path, limits)
		if err != nil {
			t.Fatal(err)
		}
		var want [streams][]byte
		for rest := text; len(rest) > 0; {
			n := min(len(rest), 1+len(text)/100+rng.IntN(1+rng.IntN(2*maxPart)))
			s := rng.IntN(streams)
			if _, err := w.streams[s].Write(rest[:n]); err != nil {
				t.Fatal(err)
			}
			want[s], rest = append(want[s], rest[:n]...), rest[n:]
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		for s, name := range []Stream{Stdout, Stderr} {
			if got := read(t, path, Options{Stream: name}); got != string(want[s]) {
				t.Fatalf("%s: %d bytes came back, want %d", name, len(got), len(want[s]))
			}
			lines := bytes.SplitAfter(want[s], []byte("\n"))
			if end := len(lines) - 1; len(lines[end]) == 0 {
				lines = lines[:end]
			}
			tail := int64(rng.IntN(len(lines) + 1))
			last := bytes.Join(lines[len(lines)-int(tail):], nil)
			if got := read(t, path, Options{Stream: name, TailLines: &tail}); got != string(last) {
				t.Fatalf("%s: tail %d: %d bytes came back, want %d", name, tail, len(got), len(last))
			}
		}
	})
}
