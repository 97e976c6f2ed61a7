package logfile

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// follower is a Read with Follow that runs in a goroutine.
type follower struct {
	lines *bufio.Reader
	ended chan error
}

// follow starts a follower, which ends with the test.
func follow(t *testing.T, path string, opts Options) *follower {
	t.Helper()
	opts.Follow = true
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	f := &follower{lines: bufio.NewReader(r), ended: make(chan error, 1)}
	var running sync.WaitGroup
	running.Go(func() {
		err := Read(ctx, w, path, opts)
		_ = w.Close()
		f.ended <- err
	})
	t.Cleanup(func() {
		cancel()
		_ = r.Close()
		running.Wait()
	})
	return f
}

// line waits for the next line. Only the timeout of the test bounds the wait.
func (f *follower) line(t *testing.T) string {
	t.Helper()
	line, err := f.lines.ReadString('\n')
	if err != nil {
		t.Fatalf("follower: %q, %v", line, err)
	}
	return strings.TrimSuffix(line, "\n")
}

// end waits for the follower's end and returns its remaining output.
func (f *follower) end(t *testing.T) (string, error) {
	t.Helper()
	rest, err := io.ReadAll(f.lines)
	if err != nil {
		t.Fatal(err)
	}
	return string(rest), <-f.ended
}

func TestFollowSeesEachLine(t *testing.T) {
	w, path := newLog(t)
	_, _ = io.WriteString(w.Stdout(), "before\n")
	done := make(chan struct{})
	f := follow(t, path, Options{Done: done})
	if got := f.line(t); got != "before" {
		t.Fatalf("line %q", got)
	}
	for i := range 100 {
		want := fmt.Sprint("line ", i)
		_, _ = io.WriteString(w.Stderr(), want+"\n")
		if got := f.line(t); got != want {
			t.Fatalf("line %q, want %q", got, want)
		}
	}
	_, _ = io.WriteString(w.Stdout(), "last words")
	_ = w.Close()
	close(done)
	if rest, err := f.end(t); rest != "last words" || err != nil {
		t.Errorf("at the end %q, %v", rest, err)
	}
}

func TestFollowFromTail(t *testing.T) {
	w, path := newLog(t)
	_, _ = io.WriteString(w.Stdout(), "1\n2\n3\n")
	two := follow(t, path, Options{TailLines: new(int64(2))})
	if a, b := two.line(t), two.line(t); a != "2" || b != "3" {
		t.Fatalf("tail: %q, %q", a, b)
	}
	none := follow(t, path, Options{TailLines: new(int64(0)), LimitBytes: new(int64(5))})
	// The test writes until the line is seen, because the file does not show whether the follower
	// has started.
	stop := make(chan struct{})
	var writing sync.WaitGroup
	writing.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				_, _ = io.WriteString(w.Stdout(), "4\n")
			}
		}
	})
	got, err := none.end(t)
	close(stop)
	writing.Wait()
	if got != "4\n4\n4" || err != nil {
		t.Errorf("after the tail, five bytes: %q, %v", got, err)
	}
	if line := two.line(t); line != "4" {
		t.Errorf("line %q after the tail", line)
	}
}

func TestFollowBusyWriter(t *testing.T) {
	w, path := newLog(t)
	watcher, err := NewWatcher()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = watcher.Close() }()
	done := make(chan struct{})
	var followers []*follower
	for i := range 8 {
		opts := Options{Done: done, Watcher: watcher}
		if i%2 == 1 {
			opts.Stream = Stdout
		}
		followers = append(followers, follow(t, path, opts))
	}
	var want bytes.Buffer
	for i := range 3000 {
		line := fmt.Sprintf("%d %s\n", i, strings.Repeat("x", i%300))
		if i%700 == 699 {
			line = fmt.Sprintf("%d %s\n", i, strings.Repeat("y", 2*maxPart+i))
		}
		want.WriteString(line)
		half := len(line) / 2
		_, _ = io.WriteString(w.Stdout(), line[:half])
		_, _ = io.WriteString(w.Stdout(), line[half:])
	}
	_ = w.Close()
	close(done)
	for i, f := range followers {
		got, err := f.end(t)
		if err != nil || got != want.String() {
			t.Errorf("follower %d: %d bytes, want %d; %v", i, len(got), want.Len(), err)
		}
	}
}

func TestFollowEnds(t *testing.T) {
	t.Run("container ended before", func(t *testing.T) {
		path := fileOf(t, "T stdout F one\n")
		done := make(chan struct{})
		close(done)
		if got, err := follow(t, path, Options{Done: done}).end(t); got != "one\n" || err != nil {
			t.Errorf("%q, %v", got, err)
		}
	})
	t.Run("file removed", func(t *testing.T) {
		path := fileOf(t, "T stdout F one\n")
		f := follow(t, path, Options{})
		f.line(t)
		// The line was written after the follower had subscribed.
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if got, err := f.end(t); got != "" || err != nil {
			t.Errorf("%q, %v", got, err)
		}
	})
	t.Run("folder removed", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "c", "0.log")
		if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(stampAt(0)+" stdout F one\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		f := follow(t, path, Options{})
		f.line(t)
		if err := os.RemoveAll(filepath.Dir(path)); err != nil {
			t.Fatal(err)
		}
		if got, err := f.end(t); got != "" || err != nil {
			t.Errorf("%q, %v", got, err)
		}
	})
	t.Run("folder moved away", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "c", "0.log")
		if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(stampAt(0)+" stdout F one\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		f := follow(t, path, Options{})
		f.line(t)
		if err := os.Rename(filepath.Dir(path), filepath.Dir(path)+"2"); err != nil {
			t.Fatal(err)
		}
		if got, err := f.end(t); got != "" || err != nil {
			t.Errorf("%q, %v", got, err)
		}
	})
	t.Run("context ended", func(t *testing.T) {
		path := fileOf(t, "T stdout F one\n")
		ctx, cancel := context.WithCancel(t.Context())
		r, w := io.Pipe()
		ended := make(chan error, 1)
		go func() { ended <- Read(ctx, w, path, Options{Follow: true}) }()
		if _, err := bufio.NewReader(r).ReadString('\n'); err != nil {
			t.Fatal(err)
		}
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: %v", err)
		}
	})
	t.Run("watcher closed", func(t *testing.T) {
		path := fileOf(t, "T stdout F one\n")
		watcher, err := NewWatcher()
		if err != nil {
			t.Fatal(err)
		}
		f := follow(t, path, Options{Watcher: watcher})
		f.line(t)
		if err := watcher.Close(); err != nil {
			t.Fatal(err)
		}
		if got, err := f.end(t); got != "" || err != nil {
			t.Errorf("%q, %v", got, err)
		}
		if err := Read(t.Context(), io.Discard, path, Options{Follow: true, Watcher: watcher}); err == nil {
			t.Error("a closed watcher served another follower")
		}
	})
}

func TestFollowThroughLink(t *testing.T) {
	w, path := newLog(t)
	link := filepath.Join(t.TempDir(), "link.log")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(w.Stdout(), "one\n")
	f := follow(t, link, Options{})
	f.line(t)
	_, _ = io.WriteString(w.Stdout(), "two\n")
	if got := f.line(t); got != "two" {
		t.Errorf("line %q", got)
	}
}

func TestFollowAfterFailedWrite(t *testing.T) {
	w, path := newLog(t)
	_, _ = io.WriteString(w.Stdout(), "one\n")
	done := make(chan struct{})
	f := follow(t, path, Options{Done: done})
	f.line(t)
	disk := &fullDisk{output: w.file, room: 30}
	w.file = disk
	for range 50 {
		_, _ = io.WriteString(w.Stdout(), "lost\n")
		disk.room = 30
	}
	disk.room = 1 << 20
	_, _ = io.WriteString(w.Stdout(), "two\n")
	if got := f.line(t); got != "two" {
		t.Errorf("line %q", got)
	}
	_ = w.Close()
	close(done)
	if rest, err := f.end(t); rest != "" || err != nil {
		t.Errorf("at the end %q, %v", rest, err)
	}
}

// flushed is a client's writer that counts flushes.
type flushed struct {
	bytes.Buffer
	flushes int
	last    int // length at the last flush
}

func (f *flushed) Flush() { f.flushes, f.last = f.flushes+1, f.Len() }

func TestReadFlushes(t *testing.T) {
	var out flushed
	if err := Read(t.Context(), &out, fileOf(t, "T stdout F one\n", "T stdout F two\n"), Options{}); err != nil {
		t.Fatal(err)
	}
	if out.flushes != 1 || out.last != len("one\ntwo\n") {
		t.Errorf("%d flushes, the last after %d bytes", out.flushes, out.last)
	}
}

func TestWatcherForgets(t *testing.T) {
	w, path := newLog(t)
	_, _ = io.WriteString(w.Stdout(), "one\n")
	watcher, err := NewWatcher()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = watcher.Close() }()
	for range 20 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		_ = Read(ctx, io.Discard, path, Options{Follow: true, Watcher: watcher})
		cancel()
	}
	if n, kept := len(watcher.folders), watcher.events.WatchList(); n != 0 || len(kept) != 0 {
		t.Errorf("after all followers have ended: %d folders, watches %v", n, kept)
	}
}
