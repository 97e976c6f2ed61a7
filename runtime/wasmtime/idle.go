package wasmtime

import (
	"cmp"
	"slices"
	"time"
)

// Bounds of the modules that stay in memory although no guest runs them: their number, their total
// bytes, and for how long. Mapping a module again costs milliseconds.
const (
	maxIdle      = 16
	maxIdleBytes = 64 << 20
	idleTime     = 5 * time.Minute
)

// idle removes the modules above these bounds from the map, the longest unused ones first. The
// caller closes them. It also holds the mutex.
func (ms *modules) idle() []unit {
	type unused struct {
		key string
		*entry
	}
	var all []unused
	for key, s := range ms.byKey {
		if s.users == 0 && s.u != nil {
			all = append(all, unused{key, s})
		}
	}
	slices.SortFunc(all, func(a, b unused) int { return cmp.Or(b.used.Compare(a.used), cmp.Compare(a.key, b.key)) })
	var victims []unit
	var left time.Duration // until the next one is too old
	var bytes int64
	for i, s := range all {
		age := time.Since(s.used)
		if bytes += s.u.holds(); i >= maxIdle || bytes > maxIdleBytes || age >= idleTime {
			victims = append(victims, s.u)
			delete(ms.byKey, s.key)
			bytes -= s.u.holds()
			continue
		}
		left = idleTime - age
	}
	ms.sweepIn(left)
	return victims
}

// sweepIn checks for idle modules after this time; 0 means never. The caller holds the mutex.
func (ms *modules) sweepIn(left time.Duration) {
	if left <= 0 || ms.sweep != nil || ms.closed {
		return // a sweep that comes too early starts the next one itself
	}
	ms.works.Add(1)
	ms.sweep = time.AfterFunc(left, func() {
		defer ms.works.Done()
		ms.mu.Lock()
		ms.sweep = nil
		victims := ms.idle()
		ms.mu.Unlock()
		for _, u := range victims {
			u.close()
		}
	})
}
