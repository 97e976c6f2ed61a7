package translate

import (
	"math/bits"
	"slices"
)

// engineLocals are the two values that the compiler keeps in every function in addition to the
// module's locals: the end of the epoch, and the position of the epoch.
const engineLocals = 2

const (
	// maxLiveWork bounds the work of all passes over all functions of a module, in words of 64
	// locals: some tenths of a second.
	maxLiveWork = 1 << 28
	// maxLiveWords bounds the words that a pass holds at a time.
	maxLiveWords = 1 << 21
	// maxPasses bounds the passes over a function. A function needs at most two passes more than
	// the depth of its nested loops.
	maxPasses = 64
)

// countLive adds the values of locals at joins of branches.
func (s *scan) countLive() {
	f := &s.flow
	perJoin := uint64(len(f.reads)) + engineLocals
	worst, worstArguments := f.joins*perJoin, f.edges*perJoin
	if s.managed {
		worst += worstArguments
	}
	most := s.m.limits.Arguments
	if s.values+worst <= s.bound && s.arguments+worstArguments <= most {
		return // there are not too many even if all locals are live
	}
	words := (uint64(len(f.reads)) + 63) / 64
	v := &s.live
	v.begin(int(words), len(f.labels))
	for index, local := range f.reads {
		if s.localKind(local) == managed {
			v.managed[index/64] |= 1 << (index % 64)
		}
	}
	for range maxPasses {
		s.m.liveWork += words*uint64(len(f.labels)) + uint64(len(f.events))/64
		s.r.bound(s.start, "steps of counting which locals are live, in all functions", s.m.liveWork, maxLiveWork)
		v.values, v.arguments, v.enough = s.values, s.arguments, s.bound+most
		v.pass(f)
		s.r.bound(s.start, "values for the compiler (most of them of locals where branches join)", v.values, s.bound)
		s.r.bound(s.start, "values that branches hand over", v.arguments, most)
		s.r.bound(s.start, "words of locals that are live at labels", uint64(v.saved), maxLiveWords)
		if v.stable {
			return
		}
	}
	s.r.fail(s.start, "a function so large may not have more than %d loops within each other", maxPasses-2)
}

// liveness goes backwards through a function's events. What is live at the beginning of a loop
// becomes known only there, too late for the branches that lead back to it. So liveness repeats the
// pass until a pass finds no more than the one before. A pass never finds too much.
type liveness struct {
	values, arguments uint64
	enough            uint64 // of both together: above it, a pass ends early

	now     []uint64 // the locals that are live at the current event, by their indices
	n       uint64   // number of live locals
	scratch []uint64
	managed []uint64 // those whose references the garbage collector follows
	sets    []word   // of labels of open blocks, which a backward pass meets first at their ends
	saved   int      // the maximum
	spans   []span   // of sets, by label
	loops   []word   // of all loops, from the last pass
	loopAt  []span   // of loops, by label
	next    []word   // of all loops, from this pass
	nextAt  []span
	stable  bool
}

type word struct {
	at   uint32
	bits uint64
}

type span struct{ from, to uint32 }

func (v *liveness) begin(words, labels int) {
	v.now, v.scratch, v.managed = make([]uint64, words), make([]uint64, words), make([]uint64, words)
	v.sets, v.loops, v.next = nil, nil, nil
	v.spans, v.loopAt, v.nextAt = make([]span, labels), make([]span, labels), make([]span, labels)
	v.saved = 0
}

// pass goes once through the events, from the last to the first.
func (v *liveness) pass(f *flow) {
	v.nothing()
	v.sets, v.next = v.sets[:0], v.next[:0]
	for i := len(f.events) - 1; i >= 0 && v.values+v.arguments <= v.enough && v.saved <= maxLiveWords; i-- {
		arg := f.events[i].arg()
		switch f.events[i].kind() {
		case eventGet:
			v.read(f.slots[arg].index)
		case eventSet:
			if s := f.slots[arg]; s.round == f.round {
				v.write(s.index)
			}
		case eventStop:
			v.nothing()
		case eventEdge:
			set := v.at(f, arg)
			v.handOver(set, uint64(max(f.labels[arg].handles, 1)))
			v.union(set)
		case eventJoins:
			v.join(uint64(arg))
		case eventOpen:
			v.sets = v.sets[:v.spans[arg].from]
		case eventClose:
			v.close(f, arg)
		case eventLoop:
			v.join(loopJoins)
			v.arguments += v.n
			v.next, v.nextAt[arg] = save(v.next, v.now, v.n)
		case eventTry:
			v.handlers(f, &f.tries[arg])
		}
	}
	v.join(1) // the check of the epoch at the beginning of a function
	v.stable = slices.Equal(v.loops, v.next) && slices.Equal(v.loopAt, v.nextAt)
	v.loops, v.next = v.next, v.loops
	copy(v.loopAt, v.nextAt)
}

// join counts joins of branches.
func (v *liveness) join(n uint64) { v.values += n * (v.n + engineLocals) }

func (v *liveness) nothing() {
	if v.n > 0 {
		clear(v.now)
		v.n = 0
	}
}

func (v *liveness) read(index uint32) {
	if w, b := index/64, uint64(1)<<(index%64); v.now[w]&b == 0 {
		v.now[w] |= b
		v.n++
	}
}

func (v *liveness) write(index uint32) {
	if w, b := index/64, uint64(1)<<(index%64); v.now[w]&b != 0 {
		v.now[w] &^= b
		v.n--
	}
}

// union adds a set to the live locals.
func (v *liveness) union(set []word) {
	for _, w := range set {
		v.n += uint64(bits.OnesCount64(w.bits &^ v.now[w.at]))
		v.now[w.at] |= w.bits
	}
}

// at returns the live locals at a label, as far as they are known yet.
func (v *liveness) at(f *flow, l uint32) []word {
	if f.labels[l].loop {
		return v.loops[v.loopAt[l].from:v.loopAt[l].to]
	}
	return v.sets[v.spans[l].from:v.spans[l].to]
}

// handOver counts a set of locals that this number of branches pass. References that the garbage
// collector follows are loaded first, because it may have moved the objects.
func (v *liveness) handOver(set []word, times uint64) {
	for _, w := range set {
		v.arguments += times * uint64(bits.OnesCount64(w.bits))
		v.values += times * uint64(bits.OnesCount64(w.bits&v.managed[w.at]))
	}
}

// close notes the end of a block.
func (v *liveness) close(f *flow, l uint32) {
	if f.labels[l].preds > 1 {
		v.join(1)
	}
	n := v.n
	if f.labels[l].edges == 0 { // no branch needs it
		n = 0
	}
	v.sets, v.spans[l] = save(v.sets, v.now, n)
	v.saved = max(v.saved, len(v.sets))
}

// handlers notes the end of a try_table: what is live at its catches and at those around it.
func (v *liveness) handlers(f *flow, t *try) {
	now, n := v.now, v.n
	v.now, v.n = v.scratch, 0
	clear(v.now)
	for _, l := range f.catches[t.first:t.last] {
		set := v.at(f, l)
		v.values += size(set) + engineLocals
		v.handOver(set, 1)
		v.union(set)
	}
	if t.parent >= 0 {
		v.union(v.at(f, f.tries[t.parent].label))
	}
	v.sets, v.spans[t.label] = save(v.sets, v.now, v.n)
	v.saved = max(v.saved, len(v.sets))
	v.now, v.n = now, n
}

// save appends a set of n locals to `to`, and returns its position there.
func save(to []word, set []uint64, n uint64) ([]word, span) {
	at := span{uint32(len(to)), uint32(len(to))}
	if n > 0 {
		for i, b := range set {
			if b != 0 {
				to = append(to, word{uint32(i), b})
			}
		}
	}
	at.to = uint32(len(to))
	return to, at
}

func size(set []word) (n uint64) {
	for _, w := range set {
		n += uint64(bits.OnesCount64(w.bits))
	}
	return n
}
