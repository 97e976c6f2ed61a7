package compile

import "slices"

// Queue decides which compilations run: in each lane those that came first, as many at a time as
// there are slots, and one of a pod in all lanes together. A pod with many modules, or with one
// that takes long, holds up no other pod: a compilation that waits only for its own pod lets others
// pass. The caller makes sure that one call at a time is under way.
type Queue struct {
	waiting [len(lanes)][]*Ticket
	running [len(lanes)]int
	busy    map[string]bool // pods of which a compilation runs
	slots   int             // of each lane
}

// Ticket is a compilation in the queue.
type Ticket struct {
	turn chan struct{}  // closed when it may run
	pods map[string]int // calls of each pod that wait for it; "" is of no pod
	lane int
	pod  string // on whose account it runs
}

// NewQueue makes a queue with so many slots in each lane.
func NewQueue(slots int) Queue { return Queue{busy: map[string]bool{}, slots: slots} }

// NewTicket makes a ticket that no call waits for yet.
func NewTicket() Ticket { return Ticket{pods: map[string]int{}} }

// Add notes a call of a pod that waits for the compilation. Advance must follow if the ticket is in
// a queue.
func (t *Ticket) Add(pod string) { t.pods[pod]++ }

// Remove ends what Add began. Advance must follow if the ticket is in a queue.
func (t *Ticket) Remove(pod string) {
	if t.pods[pod]--; t.pods[pod] == 0 {
		delete(t.pods, pod)
	}
}

// Turn is closed when the compilation may run. It is there from Enter on.
func (t *Ticket) Turn() <-chan struct{} { return t.turn }

// Enter puts a ticket at the end of the lane of modules of that size.
func (q *Queue) Enter(t *Ticket, size int64) {
	t.turn, t.lane = make(chan struct{}), laneOf(size)
	q.waiting[t.lane] = append(q.waiting[t.lane], t)
	q.Advance()
}

// Leave takes a ticket out, whether it runs or waits.
func (q *Queue) Leave(t *Ticket) {
	if i := slices.Index(q.waiting[t.lane], t); i >= 0 {
		q.waiting[t.lane] = slices.Delete(q.waiting[t.lane], i, i+1)
		return
	}
	q.running[t.lane]--
	delete(q.busy, t.pod)
	q.Advance()
}

// Advance gives each ticket its turn that can run. Enter and Leave do so too.
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

// freePod returns one of the pods that wait for a ticket, on whose account the compilation can run.
// A compilation that no call waits for runs on no pod's account.
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
