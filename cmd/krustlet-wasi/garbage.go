package main

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"time"
)

// Go lets garbage grow to the size of what is in use before it collects it. A node with ten
// thousand pods would spend as much memory on garbage as on pods. So garbage gets garbageAlways
// bytes, and an eighth of what is in use, but never more than what is in use.
const (
	garbageAlways = 64 << 20
	garbagePart   = 8
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
		var calm calmness
		now := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/heap/allocs:bytes"}}
		for {
			select {
			case <-ticker.C:
			case <-ctx.Done():
				return
			}
			metrics.Read(now)
			live, made := now[0].Value.Uint64(), now[1].Value.Uint64()
			if next := garbagePercent(live); next != percent {
				percent = next
				debug.SetGCPercent(percent)
			}
			if calm.look(live, made) {
				debug.FreeOSMemory()
			}
		}
	})
	return func() {
		cancel()
		running.Wait()
	}
}

// calmness finds out when a process that did much has come to rest. Its garbage is then given back,
// and its stacks, which each collection halves.
type calmness struct {
	made  uint64 // bytes, until the last look
	quiet int    // looks since something was done
}

// Of a process that rests, memory is given back after restLooks looks, and then restTimes times in
// all.
const (
	restLooks = 3
	restTimes = 4
	// restPart is the part of what is in use that a process makes between two looks while it rests:
	// what it tells the API server and who asks for its metrics.
	restPart = 4
)

// look is told the bytes in use, and all that were ever made. It reports whether memory is to be
// given back.
func (r *calmness) look(live, made uint64) bool {
	few := made-r.made <= max(live/restPart, 1<<20)
	r.made = made
	if !few {
		r.quiet = 0
		return false
	}
	r.quiet++
	return r.quiet%restLooks == 0 && r.quiet <= restLooks*restTimes
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
