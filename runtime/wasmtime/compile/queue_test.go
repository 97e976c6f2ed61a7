package compile

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// mayRun reports whether a ticket may run.
func mayRun(t *Ticket) bool {
	select {
	case <-t.turn:
		return true
	default:
		return false
	}
}

func ticketOf(pods ...string) *Ticket {
	t := NewTicket()
	for _, pod := range pods {
		t.Add(pod)
	}
	return &t
}

const (
	smallSize = 100
	largeSize = 10 << 20
)

func TestQueue(t *testing.T) {
	q := NewQueue(2)
	enter := func(size int64, pods ...string) *Ticket {
		one := ticketOf(pods...)
		q.Enter(one, size)
		return one
	}
	is := func(what string, one *Ticket, want bool) {
		t.Helper()
		if mayRun(one) != want {
			t.Errorf("%s: its turn: %t", what, !want)
		}
	}
	a, b, c := enter(largeSize, "a"), enter(largeSize, "b"), enter(largeSize, "c")
	small := enter(smallSize, "d")
	is("first", a, true)
	is("second", b, true)
	is("third of two slots", c, false)
	is("a small one beside them", small, true)
	again := enter(smallSize, "a")
	is("the second of a pod", again, false)
	is("of no pod", enter(smallSize, ""), true)
	late := enter(smallSize, "e")
	is("third in the small lane", late, false)
	again.Add("f") // another pod wants the same module
	q.Advance()
	q.Leave(small)
	is("the second of a pod, which another pod wants too", again, true)
	is("behind it", late, false)
	if again.pod != "f" {
		t.Errorf("it runs on the account of %q", again.pod)
	}
	if running, waiting := q.Count(); running != 4 || waiting != 2 {
		t.Errorf("%d run, and %d wait", running, waiting)
	}
	q.Leave(a)
	is("third, when the first has ended", c, true)
	q.Leave(late)
	q.Leave(again)
	is("what left before its turn", late, false)
}

// TestQueueAlwaysAdvances: tickets enter and leave. No slot and no pod is used twice, and no ticket
// waits that could run.
func TestQueueAlwaysAdvances(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	q := NewQueue(3)
	var in []*Ticket
	for range 20_000 {
		if len(in) < 30 && random.IntN(2) == 0 {
			one := ticketOf()
			for range random.IntN(3) {
				one.Add(fmt.Sprint(random.IntN(6)))
			}
			q.Enter(one, []int64{smallSize, 100 << 10, largeSize}[random.IntN(3)])
			in = append(in, one)
		} else if len(in) > 0 {
			i := random.IntN(len(in))
			q.Leave(in[i])
			in = append(in[:i], in[i+1:]...)
		}
		var running [len(lanes)]int
		pods := map[string]bool{}
		for _, one := range in {
			if !mayRun(one) {
				continue
			}
			running[one.lane]++
			if one.pod != "" && pods[one.pod] {
				t.Fatal("two of a pod")
			}
			pods[one.pod] = true
		}
		for _, one := range in {
			if running[one.lane] > q.slots {
				t.Fatal("more than there are slots")
			}
			if _, free := q.freePod(one); free && !mayRun(one) && running[one.lane] < q.slots {
				t.Fatal("one waits that could run")
			}
		}
	}
	for _, one := range in {
		q.Leave(one)
	}
	if len(q.busy) != 0 || q.running != [len(lanes)]int{} {
		t.Errorf("left are %v, %v", q.busy, q.running)
	}
}

// docs/security.md: "It is bound in memory, time and what it writes, in proportion to the module's
// size: from 30 s of every processor and 256 MiB to 2 minutes and 4 GiB (2 GiB with wasmtime 39)."
func TestBoundsAreInProportion(t *testing.T) {
	for _, memory := range []int64{DefaultMemory / 2, DefaultMemory} {
		checkBounds(t, &Runner{Memory: memory, Time: DefaultTime})
	}
	r := &Runner{Memory: 1, Time: 1}
	if b := r.bounds(1 << 30); b.memory != 1 || b.time != 1 {
		t.Errorf("beyond the settings: %+v", b)
	}
}

func checkBounds(t *testing.T, r *Runner) {
	t.Helper()
	var last bounds
	for _, size := range []int64{0, 82, 100 << 10, 3 << 20, 8 << 20, 30 << 20, 256 << 20, 1 << 30} {
		b := r.bounds(size)
		if b.memory < last.memory || b.time < last.time || b.code < last.code || b.nice < last.nice {
			t.Errorf("%d bytes: %+v, which is less than what smaller modules have: %+v", size, b, last)
		}
		last = b
	}
	if last.memory != r.Memory || last.time != r.Time || last.code != maxCode {
		t.Errorf("the largest may take %+v", last)
	}
	if tiny := r.bounds(82); tiny.memory > 1<<30 || tiny.time > r.Time/3 || tiny.code > maxCode/4 {
		t.Errorf("82 bytes may take %+v", tiny)
	}
}
