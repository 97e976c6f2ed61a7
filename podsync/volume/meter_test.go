package volume

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"
)

func TestMeterCountsOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMeter()
		counts := map[string]int64{}
		m.count = func(dir string) Usage {
			time.Sleep(time.Second) // it takes its time
			counts[dir]++
			return Usage{Bytes: counts[dir], Inodes: 1}
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- m.Run(ctx) }()
		for _, dir := range []string{"a", "b"} {
			if _, ok := m.Usage(dir); ok {
				t.Errorf("%s was counted before it was asked for", dir)
			}
		}
		began := time.Now()
		m.CaughtUp(ctx)
		if took := time.Since(began); took != 2*time.Second {
			t.Errorf("two directories took %v", took)
		}
		for range 59 { // whoever asks meanwhile gets what is known
			if u, ok := m.Usage("a"); !ok || u != (Usage{1, 1}) {
				t.Fatalf("%+v, %v", u, ok)
			}
			time.Sleep(time.Second)
		}
		m.CaughtUp(ctx)
		if counts["a"] != 1 {
			t.Errorf("counted %d times within a minute", counts["a"])
		}
		time.Sleep(time.Second)
		if u, _ := m.Usage("a"); u.Bytes != 1 {
			t.Errorf("%+v: Usage has waited", u)
		}
		m.CaughtUp(ctx)
		if u, _ := m.Usage("a"); u.Bytes != 2 || counts["b"] != 1 {
			t.Errorf("%+v after a minute; b, for which nobody asked, was counted %d times", u, counts["b"])
		}
		time.Sleep(2 * usageForgotten)
		m.Usage("a")
		m.CaughtUp(ctx)
		synctest.Wait()
		if _, ok := m.known["b"]; ok {
			t.Error("a directory that nobody asks for is not forgotten")
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		m.Usage("c")
		ended, stop := context.WithCancel(t.Context())
		stop()
		m.CaughtUp(ended) // returns, although nobody counts any more
	})
}

func TestUsage(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "sub"), 0o755); err != nil {
		t.Fatal(err)
	}
	empty := usage(dir, 0)
	if empty.Inodes != 2 {
		t.Errorf("two directories: %+v", empty)
	}
	file := filepath.Join(dir, "sub", "file")
	if err := os.WriteFile(file, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(file, filepath.Join(dir, "again")); err != nil {
		t.Fatal(err)
	}
	all := usage(dir, 0)
	if all.Inodes != 3 || all.Bytes-empty.Bytes < 1<<20 || all.Bytes-empty.Bytes > 1<<20+64<<10 {
		t.Errorf("with a file of a mebibyte that has two names: %+v, before %+v", all, empty)
	}
	if some := usage(dir, 2); some.Inodes != 2 || some.Bytes > all.Bytes {
		t.Errorf("two files at most: %+v", some)
	}
	if none := usage(filepath.Join(dir, "missing"), 0); none != (Usage{}) {
		t.Errorf("of nothing: %+v", none)
	}
}
