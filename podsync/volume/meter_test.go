package volume

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/krustlet-go/krustlet-wasi/runtime/filetree"
)

func TestMeterCountsOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMeter()
		counts := map[string]int64{}
		m.count = func(_ context.Context, dir string) filetree.Usage {
			time.Sleep(time.Second) // a count takes a while
			counts[dir]++
			return filetree.Usage{Bytes: counts[dir], Inodes: 1}
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
		for range 59 { // within that time, callers get the last count
			if u, ok := m.Usage("a"); !ok || u != (filetree.Usage{Bytes: 1, Inodes: 1}) {
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
			t.Errorf("%+v after a minute; b, for which no caller asked, was counted %d times", u, counts["b"])
		}
		time.Sleep(2 * usageForgotten)
		m.Usage("a")
		m.CaughtUp(ctx)
		synctest.Wait()
		if _, ok := m.known["b"]; ok {
			t.Error("a directory that no caller asks for is not forgotten")
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		m.Usage("c")
		ended, stop := context.WithCancel(t.Context())
		stop()
		m.CaughtUp(ended) // returns, although the meter has ended
	})
}
