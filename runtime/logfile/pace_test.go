package logfile

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestPause(t *testing.T) {
	for followers, want := range map[int]time.Duration{
		1:       500 * time.Microsecond,
		20:      10 * time.Millisecond,
		200:     maxPause,
		100_000: maxPause,
	} {
		if got := pause(followers); got != want {
			t.Errorf("%d followers pause for %v, want %v", followers, got, want)
		}
	}
}

// A follower does not read its log during its pause, unless the log ends.
func TestAwait(t *testing.T) {
	const before = 100 * time.Millisecond
	for _, test := range []struct {
		name  string
		after time.Duration // when the end happens
		do    func(sub *subscription, done chan struct{}, cancel func())
		took  time.Duration
		more  bool
		err   error
	}{
		{"a line in the pause", 10 * time.Millisecond, func(s *subscription, _ chan struct{}, _ func()) { s.wake() }, before, true, nil},
		{"a line after it", time.Second, func(s *subscription, _ chan struct{}, _ func()) { s.wake() }, time.Second, true, nil},
		{"the container's end", time.Millisecond, func(_ *subscription, done chan struct{}, _ func()) { close(done) }, time.Millisecond, false, nil},
		{"the log's end", time.Millisecond, func(s *subscription, _ chan struct{}, _ func()) { close(s.ended) }, time.Millisecond, false, nil},
		{"the client's end", time.Millisecond, func(_ *subscription, _ chan struct{}, cancel func()) { cancel() }, time.Millisecond, false, context.Canceled},
	} {
		for _, woken := range []bool{false, true} { // whether a line was written just before
			t.Run(fmt.Sprint(test.name, " ", woken), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					sub := &subscription{wrote: make(chan struct{}, 1), ended: make(chan struct{})}
					done := make(chan struct{})
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					began, took := time.Now(), test.took
					if woken {
						sub.wake()
						took = min(took, before)
					}
					time.AfterFunc(test.after, func() { test.do(sub, done, cancel) })
					more, err := sub.await(ctx, done, began.Add(before))
					if more != test.more || !errors.Is(err, test.err) || time.Since(began) != took {
						t.Errorf("%t, %v after %v; want %t, %v after %v", more, err, time.Since(began), test.more, test.err, took)
					}
				})
			})
		}
	}
}

// Followers that share a Watcher see all lines. They are counted as long as they follow.
func TestManyFollowersSeeAll(t *testing.T) {
	const followers, lines = 200, 300
	watcher, err := NewWatcher()
	if err != nil {
		t.Fatal(err)
	}
	defer watcher.Close()
	w, path := newLog(t)
	done := make(chan struct{})
	var want strings.Builder
	write := func(i int) {
		line := fmt.Sprintln("line", i)
		want.WriteString(line)
		if _, err := io.WriteString(w.Stdout(), line); err != nil {
			t.Error(err)
		}
	}
	write(0)
	var running, began sync.WaitGroup
	began.Add(followers)
	outs := make([]bytes.Buffer, followers)
	for i := range outs {
		running.Go(func() {
			first := sync.OnceFunc(began.Done)
			out := writerFunc(func(p []byte) (int, error) {
				first()
				return outs[i].Write(p)
			})
			if err := Read(t.Context(), out, path, Options{Follow: true, Done: done, Watcher: watcher}); err != nil {
				t.Error(err)
			}
		})
	}
	began.Wait()
	if n := watcher.followers.Load(); n != followers {
		t.Errorf("%d followers are counted", n)
	}
	for i := range lines {
		write(i + 1)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	close(done)
	running.Wait()
	for i := range outs {
		if outs[i].String() != want.String() {
			t.Fatalf("follower %d saw %d bytes, want %d", i, outs[i].Len(), want.Len())
		}
	}
	if left := watcher.followers.Load(); left != 0 {
		t.Errorf("%d followers are still counted", left)
	}
}

// A single follower sees a line when it is written.
func BenchmarkFollow(b *testing.B) {
	w, path := newLog(b)
	watcher, err := NewWatcher()
	if err != nil {
		b.Fatal(err)
	}
	defer watcher.Close()
	done := make(chan struct{})
	seen := make(chan struct{})
	var running sync.WaitGroup
	var lines atomic.Int64
	running.Go(func() {
		out := writerFunc(func(p []byte) (int, error) {
			lines.Add(int64(bytes.Count(p, []byte{'\n'})))
			seen <- struct{}{}
			return len(p), nil
		})
		if err := Read(b.Context(), out, path, Options{Follow: true, Done: done, Watcher: watcher}); err != nil {
			b.Error(err)
		}
	})
	n := int64(0)
	for b.Loop() {
		if _, err := io.WriteString(w.Stdout(), "a line\n"); err != nil {
			b.Fatal(err)
		}
		for n++; lines.Load() < n; {
			<-seen
		}
	}
	close(done)
	running.Wait()
}

type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
