package translate

// flow is the sequence of a function's uses of its locals, and of the control flow between them.
// The result is the number of values that the compiler makes for locals: where branches join, one
// for each local that is read later. A loop begins with such a join, for any number of branches to
// it.
type flow struct {
	events []event
	labels []label
	tries  []try
	joins  uint64 // number of joins of branches, each as often as it counts
	edges  uint64

	reads   []uint32 // locals that are read, in the order of their first reads
	slots   []slot   // by local
	round   uint32   // the value of round in slots of the current function
	catches []uint32 // labels of tries
}

// slot is the index of a local among those that are read.
type slot struct{ round, index uint32 }

// event is one step, and its argument.
type event uint32

const (
	eventGet = iota
	eventSet
	eventStop  // control does not reach the next step
	eventEdge  // control may go to a label
	eventOpen  // a block begins
	eventClose // a block ends: its label
	eventLoop  // a loop begins: its label
	eventJoins // branches join inside an instruction
	eventTry   // the end of a try_table
	eventBits  = 4
)

func (e event) kind() uint32 { return uint32(e) & (1<<eventBits - 1) }
func (e event) arg() uint32  { return uint32(e) >> eventBits }

// label is a target of branches.
type label struct {
	preds   uint32 // how many edges lead to it
	edges   uint32 // how many of them are branches
	loop    bool
	handles uint32 // for a try: how many catches a call in it may lead to
}

// try is a try_table.
type try struct {
	label       uint32 // stands for all its catches and those around it
	parent      int
	first, last uint32 // of catches
}

func (f *flow) reset(locals uint32) {
	f.events, f.labels, f.tries, f.catches, f.reads = f.events[:0], f.labels[:0], f.tries[:0], f.catches[:0], f.reads[:0]
	f.joins, f.edges = 1, 0
	f.round++
	if f.round == 0 { // round has overflowed, so old slots could seem to be of this round
		clear(f.slots)
		f.round = 1
	}
	if n := int(locals); n > len(f.slots) {
		f.slots = append(f.slots, make([]slot, n-len(f.slots))...)
	}
}

func (f *flow) add(kind, arg uint32) int {
	f.events = append(f.events, event(arg<<eventBits|kind))
	return len(f.events) - 1
}

func (f *flow) get(local uint32) {
	s := &f.slots[local]
	if s.round != f.round {
		*s = slot{f.round, uint32(len(f.reads))}
		f.reads = append(f.reads, local)
	}
	f.add(eventGet, local)
}

func (f *flow) set(local uint32) { f.add(eventSet, local) }
func (f *flow) stop()            { f.add(eventStop, 0) }

func (f *flow) edge(l uint32) int {
	f.labels[l].preds++
	f.labels[l].edges++
	f.edges++
	return f.add(eventEdge, l)
}

func (f *flow) newLabel(l label) uint32 {
	f.labels = append(f.labels, l)
	return uint32(len(f.labels) - 1)
}

func (f *flow) open() uint32 {
	l := f.newLabel(label{})
	f.add(eventOpen, l)
	return l
}

// openLoop begins a loop. Its beginning counts twice, because the compiler's check of the epoch is
// another join.
func (f *flow) openLoop() uint32 {
	l := f.newLabel(label{loop: true})
	f.joins += loopJoins
	f.add(eventLoop, l)
	return l
}

const loopJoins = 2

// inside counts joins of branches in the code of one instruction.
func (f *flow) inside(n uint32) {
	f.joins += uint64(n)
	f.add(eventJoins, min(n, 1<<(32-eventBits)-1))
}

// elsePart makes the branch of an if lead here.
func (f *flow) elsePart(edge int) {
	l := f.newLabel(label{preds: 1, edges: 1})
	f.labels[f.events[edge].arg()].preds--
	f.labels[f.events[edge].arg()].edges--
	f.events[edge] = event(l<<eventBits | eventEdge)
	f.add(eventClose, l)
}

// close ends a block. reached says that control reaches its end from its last instruction. close
// reports whether control reaches the code after the block.
func (f *flow) close(l uint32, reached bool) bool {
	if reached {
		f.labels[l].preds++
	} else {
		f.stop()
	}
	if f.labels[l].preds > 1 {
		f.joins++
	}
	f.add(eventClose, l)
	return f.labels[l].preds > 0
}

// openHandlers begins a try_table. Its catches lead to the targets.
func (f *flow) openHandlers(parent int, targets []uint32) int {
	t := try{label: f.newLabel(label{edges: 1, handles: uint32(len(targets))}), parent: parent, first: uint32(len(f.catches))}
	if parent >= 0 {
		f.labels[t.label].handles += f.labels[f.tries[parent].label].handles
	}
	f.catches = append(f.catches, targets...)
	t.last = uint32(len(f.catches))
	for _, l := range targets {
		f.labels[l].preds++
		f.labels[l].edges++
		f.joins++
		f.edges++
	}
	f.tries = append(f.tries, t)
	return len(f.tries) - 1
}

func (f *flow) closeHandlers(t int) { f.add(eventTry, uint32(t)) }

// handlers returns how many catches there are around code in a try_table.
func (f *flow) handlers(t int) uint64 { return uint64(f.labels[f.tries[t].label].handles) }

// throwTo notes a call within a try_table. It returns how many catches the call may lead to.
func (f *flow) throwTo(t int) uint64 {
	l := f.tries[t].label
	f.edges += uint64(f.labels[l].handles)
	f.add(eventEdge, l)
	return uint64(f.labels[l].handles)
}
