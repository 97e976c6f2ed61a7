package logfile

import (
	"bufio"
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestFollowAcrossRotations: fast followers see each line once and in order, while the log rotates
// every few lines and keeps all of its files.
func TestFollowAcrossRotations(t *testing.T) {
	w, path := newRotated(t, 400, 100_000)
	watcher, err := NewWatcher()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = watcher.Close() }()
	done := make(chan struct{})
	const lines, per = 1500, 2
	var followers []*follower
	for _, opts := range []Options{{}, {Stream: Stdout}, {Stream: Stderr}, {TailLines: new(int64(lines))}} {
		opts.Done, opts.Watcher = done, watcher
		for range per {
			followers = append(followers, follow(t, path, opts))
		}
	}
	var want, out, errs bytes.Buffer
	for i := range lines {
		line := strconv.Itoa(i)
		if i%100 == 99 {
			line += strings.Repeat("x", 2*maxPart)
		}
		line += "\n"
		want.WriteString(line)
		if i%3 == 0 {
			errs.WriteString(line)
			say(t, w.Stderr(), line)
		} else {
			out.WriteString(line)
			say(t, w.Stdout(), line)
		}
	}
	_ = w.Close()
	close(done)
	wants := []string{want.String(), out.String(), errs.String(), want.String()}
	for i, f := range followers {
		if got, err := f.end(t); err != nil || got != wants[i/per] {
			t.Errorf("follower %d: %d bytes, want %d; %v", i, len(got), len(wants[i/per]), err)
		}
	}
}

// TestSlowFollowers: a follower that is too slow for the rotation misses whole sections of the log,
// but nothing else. Its output is in order, has no line twice, and has the last line.
func TestSlowFollowers(t *testing.T) {
	w, path := newRotated(t, 2000, 3)
	say(t, w.Stdout(), "0\n")
	watcher, err := NewWatcher()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = watcher.Close() }()
	done := make(chan struct{})
	var followers []*follower
	for range 6 {
		f := follow(t, path, Options{Done: done, Watcher: watcher})
		if got := f.line(t); got != "0" {
			t.Fatalf("line %q", got)
		}
		followers = append(followers, f)
	}
	const lines = 20_000
	var reading sync.WaitGroup
	for i, f := range followers {
		reading.Go(func() {
			last, jumps := 0, 0
			for s := bufio.NewScanner(f.lines); s.Scan(); {
				n, err := strconv.Atoi(s.Text())
				switch {
				case err != nil || n <= last:
					t.Errorf("follower %d: %q after %d", i, s.Text(), last)
					return
				case n > last+1:
					jumps++
				}
				if last = n; n%(100*(i+1)) == 0 {
					time.Sleep(time.Millisecond) // a slow client
				}
			}
			if last != lines {
				t.Errorf("follower %d ends with %d after %d jumps", i, last, jumps)
			}
		})
	}
	for i := 1; i <= lines; i++ {
		say(t, w.Stdout(), strconv.Itoa(i)+"\n")
	}
	_ = w.Close()
	close(done)
	reading.Wait()
}

// TestReadersBesideRotation: a reader that does not follow gets a part of the log without gaps, at
// any speed of rotation.
func TestReadersBesideRotation(t *testing.T) {
	w, path := newRotated(t, 2000, 4)
	say(t, w.Stdout(), "0\n")
	stop := make(chan struct{})
	var writing sync.WaitGroup
	writing.Go(func() {
		for i := 1; ; i++ {
			select {
			case <-stop:
				return
			default:
				_, _ = fmt.Fprintln(w.Stdout(), i)
			}
		}
	})
	for i := range 500 {
		opts := Options{}
		if i%2 == 1 {
			opts.TailLines = new(int64(i % 50))
		}
		var last int
		for j, line := range strings.Fields(read(t, path, opts)) {
			n, err := strconv.Atoi(line)
			if err != nil || j > 0 && n != last+1 {
				t.Fatalf("%q after %d", line, last)
			}
			last = n
		}
	}
	close(stop)
	writing.Wait()
}
