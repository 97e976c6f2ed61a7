package podsync

import (
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/krustlet-go/krustlet-wasi/podsync/admit"
	"github.com/krustlet-go/krustlet-wasi/podsync/podspec"
)

// podLoops are the pod loops of the node.
type podLoops struct {
	mu sync.Mutex
	of map[types.UID]*podLoop
}

// get is the loop of a pod, or nil.
func (l *podLoops) get(uid types.UID) *podLoop {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.of[uid]
}

func (l *podLoops) add(uid types.UID, w *podLoop) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.of == nil {
		l.of = map[types.UID]*podLoop{}
	}
	l.of[uid] = w
}

func (l *podLoops) remove(uid types.UID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.of, uid)
}

// all returns the present pod loops, in no order.
func (l *podLoops) all() []*podLoop {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := make([]*podLoop, 0, len(l.of))
	for _, w := range l.of {
		all = append(all, w)
	}
	return all
}

// find returns the pod of that name. If several pods have it, find prefers one that is not being
// deleted.
func (l *podLoops) find(namespace, name string) (*podLoop, *view) {
	var found *podLoop
	var seen *view
	for _, w := range l.all() {
		v := w.view.Load()
		if v.pod.Namespace != namespace || v.pod.Name != name {
			continue
		}
		if found == nil || v.pod.DeletionTimestamp == nil {
			found, seen = w, v
		}
	}
	return found, seen
}

// used is the total of what the admitted pods have on the node. Terminal pods and the pod beside do
// not count. beside may be nil.
func (l *podLoops) used(beside *podActions) admit.Used {
	l.mu.Lock()
	defer l.mu.Unlock()
	var used admit.Used
	for _, w := range l.of {
		pod := w.view.Load().pod
		if w.podActions == beside || !w.admitted.Load() || podspec.Terminal(pod.Status.Phase) {
			continue
		}
		used.Add(w.requests, pod)
	}
	return used
}

// count sets the resources that a pod has on the node, for used.
func (l *podLoops) count(w *podActions, requests corev1.ResourceList) {
	l.mu.Lock()
	defer l.mu.Unlock()
	w.requests = requests
}

// nudge makes the pods that name a RuntimeClass try again.
func (l *podLoops) nudge(class string) {
	for _, w := range l.all() {
		if className(w.view.Load().pod) != class {
			continue
		}
		select {
		case w.nudge <- struct{}{}:
		default: // it has a token, and will try again
		}
	}
}
