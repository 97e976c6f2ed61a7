package podsync

import (
	"sync"

	"k8s.io/apimachinery/pkg/types"

	"github.com/krustlet-go/krustlet-wasi/podsync/events"
	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/visible"
)

// mostTargets bounds the targets of a pod about which there are events.
const mostTargets = 20

// denials are the targets of refused connections about which there was an event, by pod.
type denials struct {
	mu   sync.Mutex
	told map[types.UID]map[denial]struct{}
}

// denial is what an event says.
type denial struct {
	target  string
	ingress bool
	by      runtime.Decider
	audited bool
}

// first reports whether there was no event about this yet, and notes it. last reports whether there
// will be no more events about the pod.
func (d *denials) first(pod types.UID, of denial) (first, last bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	told := d.told[pod]
	if _, before := told[of]; before || len(told) >= mostTargets {
		return false, false
	}
	if told == nil {
		if d.told == nil {
			d.told = map[types.UID]map[denial]struct{}{}
		}
		told = map[denial]struct{}{}
		d.told[pod] = told
	}
	told[of] = struct{}{}
	return true, len(told) == mostTargets
}

func (d *denials) forget(pod types.UID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.told, pod)
}

// Denied counts what the network has refused to pods, and makes one event for each pod and target.
// It does not block.
func (m *Manager) Denied(all []runtime.PodDenial) {
	for _, d := range all {
		m.Metrics.Denied(d.Denial)
		w := m.loops.get(types.UID(d.Pod))
		if w == nil {
			continue
		}
		first, last := m.denials.first(types.UID(d.Pod), denial{d.Target, d.Ingress, d.By, d.Audited})
		if !first {
			continue
		}
		pod := w.view.Load().pod
		d.Target = visible.Name([]byte(d.Target))
		w.record(pod, nil, events.NetworkDenied(d.Denial))
		if last {
			w.record(pod, nil, events.TooManyDenied())
		}
		if m.loops.get(pod.UID) == nil { // the pod has ended meanwhile
			m.denials.forget(pod.UID)
		}
	}
}
