package pool

import (
	"maps"
	"slices"
	"sync"

	"github.com/krustlet-go/krustlet-wasi/runtime/worker/wire"
)

// slot is the purpose of a worker: a shard, or a pod.
type slot struct {
	shard int
	pod   string // for an isolated worker
}

// info is the agent's note about the slot's worker.
func (s slot) info(build string) wire.Info {
	return wire.Info{Build: build, Shard: s.shard, Isolated: s.pod != "", Pod: s.pod}
}

// workers are the running worker processes, and those that are being started.
type workers struct {
	mu       sync.Mutex
	running  map[*worker]struct{}
	spawning map[slot]*spawn
}

func newWorkers() *workers {
	return &workers{running: map[*worker]struct{}{}, spawning: map[slot]*spawn{}}
}

// spawn is a worker that is being started.
type spawn struct {
	done chan struct{}
	err  error // set before done is closed
}

func (ws *workers) add(w *worker) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	ws.running[w] = struct{}{}
}

func (ws *workers) remove(w *worker) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	delete(ws.running, w)
}

// all are the running workers.
func (ws *workers) all() []*worker {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	return slices.Collect(maps.Keys(ws.running))
}

// reserve returns the worker for a pod's guest, with one more user. If there is none, it returns
// the start of the slot's worker, and begin reports whether the caller must begin this start.
func (ws *workers) reserve(s slot, pod string) (w *worker, sp *spawn, begin bool) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if w := choose(ws.running, s, pod); w != nil && w.account.reserve() {
		return w, nil, false
	}
	if sp := ws.spawning[s]; sp != nil {
		return nil, sp, false
	}
	sp = &spawn{done: make(chan struct{})}
	ws.spawning[s] = sp
	return nil, sp, true
}

// choose returns the worker of a slot, or the shared worker that already hosts the pod, or nil.
func choose(running map[*worker]struct{}, s slot, pod string) *worker {
	var found *worker
	for w := range running {
		switch {
		case !w.account.takes() || w.info.Isolated != (s.pod != ""):
		case w.info.Isolated:
			if w.info.Pod == s.pod {
				return w
			}
		case pod != "" && w.account.hosts(pod) > 0:
			return w
		case w.info.Shard == s.shard:
			found = w
		}
	}
	return found
}

// spawned ends the start of a worker. If there is no error, the worker runs now.
func (ws *workers) spawned(s slot, err error) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	sp := ws.spawning[s]
	delete(ws.spawning, s)
	sp.err = err
	close(sp.done)
}
