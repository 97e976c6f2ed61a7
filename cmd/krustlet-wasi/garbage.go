package main

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"time"
)

// Go lets garbage grow to the size of what is in use before it collects it. A node with ten thousand
// pods would spend as much memory on garbage as on pods. So garbage gets garbageAlways bytes, and a
// quarter of what is in use, but never more than what is in use.
const (
	garbageAlways = 64 << 20
	garbagePart   = 4
	garbageEvery  = 10 * time.Second
)

// boundGarbage bounds the garbage of this process until stop is called. A user who sets GOGC
// chooses another bound.
func boundGarbage(ctx context.Context) (stop func()) {
	if os.Getenv("GOGC") != "" {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() {
		ticker := time.NewTicker(garbageEvery)
		defer ticker.Stop()
		percent := allGarbage
		live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
		for {
			select {
			case <-ticker.C:
			case <-ctx.Done():
				return
			}
			metrics.Read(live)
			if next := garbagePercent(live[0].Value.Uint64()); next != percent {
				percent = next
				debug.SetGCPercent(percent)
			}
		}
	})
	return func() {
		cancel()
		running.Wait()
	}
}

// allGarbage is Go's own bound: as much garbage as there is in use.
const allGarbage = 100

// garbagePercent is how much garbage there may be beside live bytes, as Go's collector wants it, in
// steps of five.
func garbagePercent(live uint64) int {
	if live <= garbageAlways {
		return allGarbage
	}
	const step = 5
	return min(allGarbage, int((garbageAlways+live/garbagePart)*allGarbage/live)/step*step)
}
