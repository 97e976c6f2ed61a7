package network

import (
	"maps"
	"slices"
	"sync"

	"github.com/krustlet-go/krustlet-wasi/runtime"
)

const (
	// maxDenials bounds the targets of a pod of which is told. What is refused beyond counts for
	// the others together, so the sum stays right.
	maxDenials = 256
	others     = "others"
	// maxTarget is the bound of runtime.Denial.
	maxTarget = 300
)

// denials count what was refused to a pod. They may be used by any goroutine.
type denials struct {
	mu    sync.Mutex
	times map[runtime.Denial]int64 // by the Denial without its Times
}

// note counts a denial, and reports whether it is the first since the last take.
func (d *denials) note(what runtime.Denial) bool {
	what.Target = what.Target[:min(len(what.Target), maxTarget)]
	what.Times = 0
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.times == nil {
		d.times = map[runtime.Denial]int64{}
	}
	if _, known := d.times[what]; !known && len(d.times) >= maxDenials {
		what.Target = others
	}
	d.times[what]++
	return len(d.times) == 1
}

// take returns what was counted, and begins again.
func (d *denials) take() []runtime.Denial {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := slices.Collect(maps.Keys(d.times))
	for i := range all {
		all[i].Times = d.times[all[i]]
	}
	d.times = nil
	return all
}

func (d *denials) empty() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.times) == 0
}
