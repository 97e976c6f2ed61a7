package compile

import "slices"

// Queue decides which compilations run. Each lane runs as many as it has slots, in the order of
// arrival, but each pod has only one running compilation, in all lanes together. A pod with many
// modules, or with one that takes long, delays no other pod, because a compilation that waits only
// for its own pod lets others pass. The caller must make sure that only one method runs at a time.
type Queue struct {
	waiting [len(lanes)][]*Ticket
	running [len(lanes)]int
	busy    map[string]bool // pods with a running compilation
	slots   int             // for each lane
}

// Ticket is a compilation in the queue.
type Ticket struct {
	turn chan struct{}  // closed when it may run
	pods map[string]int // number of waiting calls of each pod; "" means no pod
	lane int
	pod  string // the pod whose turn it uses
}

// NewQueue makes a queue with this number of slots in each lane.
func NewQueue(slots int) Queue { return Queue{busy: map[string]bool{}, slots: slots} }

// NewTicket makes a ticket for which no call waits yet.
func NewTicket() Ticket { return Ticket{pods: map[string]int{}} }

// Add adds a waiting call of a pod. Advance must follow if the ticket is in a queue.
func (t *Ticket) Add(pod string) { t.pods[pod]++ }

// Remove reverts Add. Advance must follow if the ticket is in a queue.
func (t *Ticket) Remove(pod string) {
	if t.pods[pod]--; t.pods[pod] == 0 {
		delete(t.pods, pod)
	}
}

// Turn is closed when the compilation may run. It is valid after Enter.
func (t *Ticket) Turn() <-chan struct{} { return t.turn }

// Enter adds a ticket to the end of the lane for modules of this size.
func (q *Queue) Enter(t *Ticket, size int64) {
	t.turn, t.lane = make(chan struct{}), laneOf(size)
	q.waiting[t.lane] = append(q.waiting[t.lane], t)
	q.Advance()
}

// Leave removes a ticket that runs or waits.
func (q *Queue) Leave(t *Ticket) {
	if i := slices.Index(q.waiting[t.lane], t); i >= 0 {
		q.waiting[t.lane] = slices.Delete(q.waiting[t.lane], i, i+1)
		return
	}
	q.running[t.lane]--
	delete(q.busy, t.pod)
	q.Advance()
}

// Advance starts all tickets that can run. Enter and Leave call it.
func (q *Queue) Advance() {
	for lane := range q.waiting {
		q.waiting[lane] = slices.DeleteFunc(q.waiting[lane], func(t *Ticket) bool {
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

// Count returns how many compilations run, and how many wait.
func (q *Queue) Count() (running, waiting int) {
	for lane := range lanes {
		running += q.running[lane]
		waiting += len(q.waiting[lane])
	}
	return running, waiting
}

// freePod returns one of the pods that wait for a ticket and that has no running compilation. If no
// call waits for the compilation, it runs for no pod.
func (q *Queue) freePod(t *Ticket) (pod string, is bool) {
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
