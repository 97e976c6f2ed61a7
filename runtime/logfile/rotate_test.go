package logfile

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// newRotated opens a log with rotation in a folder of the test. If a rotation fails, the test
// fails.
func newRotated(t testing.TB, maxSize int64, maxFiles int) (*Writer, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "0.log")
	w, err := Create(path, Rotation{MaxSize: maxSize, MaxFiles: maxFiles, Failed: func(err error) { t.Error(err) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	return w, path
}

// filesOf returns the log's files and their sizes.
func filesOf(t testing.TB, path string) (files []string, sizes []int64) {
	t.Helper()
	files, err := Files(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		sizes = append(sizes, info.Size())
	}
	return files, sizes
}

func say(t testing.TB, w io.Writer, text string) {
	t.Helper()
	if n, err := io.WriteString(w, text); n != len(text) || err != nil {
		t.Fatalf("write of %d bytes: %d, %v", len(text), n, err)
	}
}

// docs/security.md: "logs are rotated, so a run has at most `--container-log-max-files` of
// `--container-log-max-size`."
func TestRotationBoundsTheLog(t *testing.T) {
	const limit, kept = 4000, 3
	for _, atOnce := range []int{1, 7, 500} {
		w, path := newRotated(t, limit, kept)
		var last string
		for i := 0; i < 1000; i += atOnce {
			var text strings.Builder
			for j := range atOnce {
				last = fmt.Sprintf("line %d\n", i+j)
				text.WriteString(last)
			}
			say(t, w.Stdout(), text.String())
		}
		files, sizes := filesOf(t, path)
		if len(files) != kept || files[kept-1] != path || !slices.IsSorted(files[:kept-1]) {
			t.Errorf("%d lines at once: files %v", atOnce, files)
		}
		for i, size := range sizes {
			if size > limit || i < kept-1 && size < limit/2 {
				t.Errorf("%d lines at once: %s has %d bytes", atOnce, files[i], size)
			}
			if first, _, _ := strings.Cut(strings.TrimPrefix(files[i], path), "-"); i < kept-1 && len(first) != len(".20060102") {
				t.Errorf("the name %s", files[i])
			}
		}
		if got := read(t, path, Options{}); !strings.HasSuffix(got, last) || strings.Count(got, "\n") < 100 {
			t.Errorf("%d lines at once: the log ends with %.30q", atOnce, got[max(0, len(got)-30):])
		}
	}
}

func TestRotationIsBetweenLines(t *testing.T) {
	w, path := newRotated(t, 100_000, 1000)
	line := strings.Repeat("x", 3*maxPart+100) + "\n"
	var want strings.Builder
	for i := range 40 {
		text := fmt.Sprint(i, line)
		want.WriteString(text)
		// The pieces do not match lines or records.
		for len(text) > 0 {
			n := min(len(text), 7001)
			say(t, w.Stdout(), text[:n])
			text = text[n:]
		}
	}
	if got := read(t, path, Options{}); got != want.String() {
		t.Errorf("the log has %d bytes, want %d", len(got), want.Len())
	}
	files, sizes := filesOf(t, path)
	if len(files) < 10 {
		t.Fatalf("files %v", files)
	}
	for i, file := range files {
		text := strings.TrimSuffix(records(t, file), "\n")
		if last := text[strings.LastIndexByte(text, '\n')+1:]; !strings.HasPrefix(last, "T stdout F ") || sizes[i] > 200_000 {
			t.Errorf("%s of %d bytes ends with %.20q", file, sizes[i], last)
		}
	}
}

func TestRotationCutsAnEndlessLine(t *testing.T) {
	w, path := newRotated(t, 100_000, 100)
	text := strings.Repeat("x", 1_000_000)
	say(t, w.Stdout(), text)
	files, sizes := filesOf(t, path)
	if slices.Max(sizes) > 200_000 || len(files) < 6 {
		t.Errorf("sizes %v", sizes)
	}
	say(t, w.Stdout(), "end\nnext\n")
	if got := read(t, path, Options{}); got != text+"end\nnext\n" {
		t.Errorf("the log has %d bytes", len(got))
	}
	// The line also counts as one line.
	if got := read(t, path, Options{TailLines: new(int64(2))}); got != text+"end\nnext\n" {
		t.Errorf("its tail has %d bytes", len(got))
	}
}

func TestReadAcrossFiles(t *testing.T) {
	w, path := newRotated(t, 2000, 1000)
	var all []string
	for i := range 500 {
		line := fmt.Sprintf("line %d\n", i)
		all = append(all, line)
		if i%10 == 0 {
			say(t, w.Stderr(), line)
		} else {
			say(t, w.Stdout(), line)
		}
	}
	if files, _ := filesOf(t, path); len(files) < 10 {
		t.Fatalf("files %v", files)
	}
	check := func() {
		t.Helper()
		if got := read(t, path, Options{}); got != strings.Join(all, "") {
			t.Errorf("all: %d bytes", len(got))
		}
		for _, n := range []int{0, 1, 10, 49, 50, 51, 300, 499, 500, 501} {
			if got, want := read(t, path, Options{TailLines: new(int64(n))}), strings.Join(all[max(0, 500-n):], ""); got != want {
				t.Errorf("tail %d: %d bytes, want %d", n, len(got), len(want))
			}
		}
		if got, want := read(t, path, Options{TailLines: new(int64(2)), Stream: Stderr}), all[480]+all[490]; got != want {
			t.Errorf("tail of stderr: %q", got)
		}
		if got, want := read(t, path, Options{LimitBytes: new(int64(1000))}), strings.Join(all, "")[:1000]; got != want {
			t.Errorf("limit: %q", got)
		}
		text := read(t, path, Options{Timestamps: true, TailLines: new(int64(200))})
		since, err := time.Parse(time.RFC3339Nano, text[:strings.IndexByte(text, ' ')])
		if err != nil {
			t.Fatal(err)
		}
		if got := read(t, path, Options{SinceTime: since}); !strings.HasSuffix(got, strings.Join(all[300:], "")) || len(got) > len(strings.Join(all[200:], "")) {
			t.Errorf("since: %d bytes", len(got))
		}
	}
	check()
	// A Writer leaves this state if its process exits between the two steps of a rotation.
	if err := w.rotate(time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	check()
	if got, err := follow(t, path, Options{Done: closed()}).end(t); got != strings.Join(all, "") || err != nil {
		t.Errorf("followed: %d bytes, %v", len(got), err)
	}
}

func closed() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}

func TestRotationGoesOnAfterARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "0.log")
	var want strings.Builder
	for i := range 50 {
		w, err := Create(path, Rotation{MaxSize: 300, MaxFiles: 100})
		if err != nil {
			t.Fatal(err)
		}
		for j := range 3 {
			line := fmt.Sprintf("line %d %d\n", i, j)
			want.WriteString(line)
			say(t, w.Stdout(), line)
		}
		switch i % 3 {
		case 0:
			_ = w.Close()
		case 1:
			_ = w.rotate(time.Now())
			if err := os.Remove(path); err != nil { // the process exited before it made the new file
				t.Fatal(err)
			}
			_ = os.WriteFile(path+newSuffix, nil, 0o600)
		}
	}
	if got := read(t, path, Options{}); got != want.String() {
		t.Errorf("the log:\n%s\nwant:\n%s", got, want.String())
	}
	w, err := Create(path, Rotation{MaxSize: 300, MaxFiles: 3})
	if err != nil {
		t.Fatal(err)
	}
	_ = w.Close()
	if files, _ := filesOf(t, path); len(files) != 3 {
		t.Errorf("with a lower bound: %v", files)
	}
}

func TestRotationThatFails(t *testing.T) {
	path := filepath.Join(t.TempDir(), "0.log")
	var told []error
	w, err := Create(path, Rotation{MaxSize: 1000, MaxFiles: 3, Failed: func(err error) { told = append(told, err) }})
	if err != nil {
		t.Fatal(err)
	}
	// A folder has the name of the new file. So the file cannot be made, not even by root.
	if err := os.MkdirAll(path+newSuffix+"/x", 0o700); err != nil {
		t.Fatal(err)
	}
	var want strings.Builder
	for i := range 100 {
		line := fmt.Sprintf("line %d\n", i)
		want.WriteString(line)
		say(t, w.Stdout(), line)
	}
	if len(told) != 1 || !errors.Is(told[0], os.ErrExist) && !strings.Contains(told[0].Error(), "is a directory") {
		t.Errorf("told: %v", told)
	}
	if files, _ := filesOf(t, path); len(files) != 1 || read(t, path, Options{}) != want.String() {
		t.Errorf("files %v", files)
	}
	if err := os.RemoveAll(path + newSuffix); err != nil {
		t.Fatal(err)
	}
	w.rot.retry = time.Time{}
	say(t, w.Stdout(), "more\n")
	if files, _ := filesOf(t, path); len(files) != 2 || len(told) != 1 {
		t.Errorf("files %v, told %v", files, told)
	}
	if got := read(t, path, Options{}); got != want.String()+"more\n" {
		t.Errorf("the log:\n%s", got)
	}
}

// TestRotationHalfDone: the file was renamed, but the new one could not be made. No text is lost,
// and the next rotation repairs this.
func TestRotationHalfDone(t *testing.T) {
	w, path := newRotated(t, 1000, 10)
	say(t, w.Stdout(), "one\n")
	if err := os.Rename(path, nextRotated(path, nil, time.Now())); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	f := follow(t, path, Options{Done: done})
	if got := f.line(t); got != "one" {
		t.Fatalf("line %q", got)
	}
	say(t, w.Stdout(), "two\n")
	if got := f.line(t); got != "two" {
		t.Fatalf("line %q", got)
	}
	long := strings.Repeat("x", 990)
	say(t, w.Stdout(), long+"\n")
	if got := f.line(t); got != long {
		t.Errorf("line %q", got)
	}
	if files, _ := filesOf(t, path); len(files) != 2 || files[1] != path {
		t.Errorf("files %v", files)
	}
	if got := read(t, path, Options{}); got != "one\ntwo\n"+long+"\n" {
		t.Errorf("the log %q", got)
	}
}

func TestNamesOfRotatedFilesSort(t *testing.T) {
	const path = "/logs/0.log"
	at := time.Date(2026, 1, 2, 15, 4, 5, 999, time.UTC)
	var names []string
	for _, now := range []time.Time{at, at, at, at.Add(time.Second), at, at.Add(-time.Hour), at.Add(time.Minute).In(time.FixedZone("", 7*3600))} {
		name := nextRotated(path, names, now)
		if len(names) > 0 && name <= names[len(names)-1] || Of(name) != path {
			t.Errorf("%s after %v", name, names)
		}
		names = append(names, name)
	}
	if want := []string{".20260102-150405", ".20260102-150405-000001", ".20260102-150405-000002", ".20260102-150406"}; names[0] != path+want[0] ||
		names[1] != path+want[1] || names[2] != path+want[2] || names[3] != path+want[3] {
		t.Errorf("names %v", names)
	}
	for _, last := range []string{"20261231-235959-999999", "99999999-999999", "99999999-999999-999999"} {
		if name := nextRotated(path, []string{path + "." + last}, at); name <= path+"."+last {
			t.Errorf("%s after %s", name, last)
		}
	}
	for file, want := range map[string]string{"0.log": "0.log", "0.log.new": "0.log", "0.log.20260102-15040": "0.log.20260102-15040", "x": "x", ".20260102-150405": ".20260102-150405"} {
		if got := Of(file); got != want {
			t.Errorf("Of(%s) = %s", file, got)
		}
	}
}

func FuzzNamesOfRotatedFilesSort(f *testing.F) {
	f.Add("20260102-150405", int64(0))
	f.Add("20260102-150405-999999", int64(1767366245))
	f.Add("99999999-999999-999999", int64(-1))
	f.Fuzz(func(t *testing.T, last string, now int64) {
		at := time.Unix(now, 0)
		if y := at.UTC().Year(); !isRotated(last) || y < 1000 || y > 9999 {
			return
		}
		name := nextRotated("0.log", []string{"0.log." + last}, at)
		if name <= "0.log."+last {
			t.Errorf("%s after %s", name, last)
		}
	})
}

func TestRemove(t *testing.T) {
	w, path := newRotated(t, 100, 5)
	other := path[:len(path)-len("0.log")] + "10.log"
	for _, file := range []string{other, path + newSuffix} {
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for range 20 {
		say(t, w.Stdout(), strings.Repeat("x", 60)+"\n")
	}
	f := follow(t, path, Options{TailLines: new(int64(1))})
	f.line(t)
	if err := Remove(path); err != nil {
		t.Fatal(err)
	}
	if rest, err := f.end(t); rest != "" || err != nil {
		t.Errorf("a follower: %q, %v", rest, err)
	}
	if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 1 || left[0].Name() != "10.log" {
		t.Errorf("left are %v", left)
	}
	if err := Remove(path); err != nil {
		t.Errorf("again: %v", err)
	}
}
