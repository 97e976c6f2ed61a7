package wasmtime

import (
	goruntime "runtime"
	"slices"
)

// queue decides which compilations run: in each lane those that came first, as many at a time as there are processors, and one
// of a pod in all lanes together. A pod with many modules, or with one that takes long, holds up no other pod: others pass by what
// waits for its pod only. The caller keeps calls apart.
type queue struct {
	waiting [len(lanes)][]*ticket
	running [len(lanes)]int
	busy    map[string]bool // pods of which a compilation runs
	slots   int             // of each lane
}

// ticket is a compilation in the queue.
type ticket struct {
	turn chan struct{}  // closed when it may run
	pods map[string]int // calls of each pod that wait for it; "" is of none
	lane int
	pod  string // on whose account it runs
}

func newQueue() queue {
	return queue{busy: map[string]bool{}, slots: goruntime.GOMAXPROCS(0)}
}

// enter puts a ticket at the end of the lane of modules of that size.
func (q *queue) enter(t *ticket, size int64) {
	t.turn, t.lane = make(chan struct{}), laneNumber(size)
	q.waiting[t.lane] = append(q.waiting[t.lane], t)
	q.advance()
}

// leave takes a ticket out, whether it runs or waits.
func (q *queue) leave(t *ticket) {
	if i := slices.Index(q.waiting[t.lane], t); i >= 0 {
		q.waiting[t.lane] = slices.Delete(q.waiting[t.lane], i, i+1)
		return
	}
	q.running[t.lane]--
	delete(q.busy, t.pod)
	q.advance()
}

// advance lets run what can. It is to be called when a ticket has got another pod, too.
func (q *queue) advance() {
	for lane := range q.waiting {
		q.waiting[lane] = slices.DeleteFunc(q.waiting[lane], func(t *ticket) bool {
			pod, is := q.freePod(t)
			if q.running[lane] == q.slots || !is {
				return false
			}
			if pod != "" {
				q.busy[pod] = true
			}
			t.pod = pod
			q.running[lane]++
			close(t.turn)
			return true
		})
	}
}

// freePod is one of those that wait for a ticket, on whose account it can run. What nobody waits for runs on nobody's.
func (q *queue) freePod(t *ticket) (pod string, is bool) {
	if len(t.pods) == 0 {
		return "", true
	}
	for pod := range t.pods {
		if !q.busy[pod] {
			return pod, true
		}
	}
	return "", false
}
