package pool_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/hack/eventually"
	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/worker/pool"
)

// fakeCluster is what the guests of a worker share of the network: names of sets, and refusals.
type fakeCluster struct {
	mu      sync.Mutex
	sets    map[string]bool
	refused []runtime.PodDenial
	wake    chan struct{}
}

func newFakeCluster() *fakeCluster {
	return &fakeCluster{sets: map[string]bool{}, wake: make(chan struct{}, 1)}
}

func (c *fakeCluster) Apply(u runtime.NetworkUpdate) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if u.Reset {
		c.sets = map[string]bool{}
	}
	for _, s := range u.Sets {
		c.sets[s.Name] = true
	}
}

func (c *fakeCluster) known() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.sets)
}

func (c *fakeCluster) refuse(pod string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refused = append(c.refused, runtime.PodDenial{Pod: pod, Denial: runtime.Denial{Target: "10.0.0.1:80", By: runtime.ByPolicy, Times: 2}})
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

func (c *fakeCluster) Denials(ctx context.Context) ([]runtime.PodDenial, error) {
	select {
	case <-c.wake:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	all := c.refused
	c.refused = nil
	return all, nil
}

// network is the agent's side: each state has one set more.
type network struct {
	mu     sync.Mutex
	state  uint64
	more   chan struct{}
	denied []runtime.PodDenial
	resets int
}

func newNetwork(state uint64) *network { return &network{state: state, more: make(chan struct{})} }

func (n *network) Changes(after uint64) (u runtime.NetworkUpdate, now uint64, more <-chan struct{}) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if u.Reset = after == 0; u.Reset {
		n.resets++
	}
	for i := after; i < n.state; i++ {
		u.Sets = append(u.Sets, runtime.AddressSet{Name: fmt.Sprint(i)})
	}
	return u, n.state, n.more
}

func (n *network) State() uint64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.state
}

func (n *network) set(state uint64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.state = state
	close(n.more)
	n.more = make(chan struct{})
}

func (n *network) Denied(denials []runtime.PodDenial) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.denied = append(n.denied, denials...)
}

func (n *network) refused(pod string) []runtime.PodDenial {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(n.denied), func(d runtime.PodDenial) bool { return d.Pod != pod })
}

// knows starts a run and returns how many sets its worker knows then.
func knows(t *testing.T, p *pool.Pool, id, pod string) int {
	t.Helper()
	s := spec(t, id, pod, "sets")
	return int(exitOf(t, mustStart(t, p, s, runtime.Streams{})).Code)
}

// A guest starts only in a worker that knows the newest rules of the network, whether the worker is
// new, has had guests, or is of an earlier agent.
func TestNoGuestStartsUnderOlderRules(t *testing.T) {
	cfg := config(t, t.TempDir())
	first := newNetwork(3)
	cfg.Network = first
	p := open(t, cfg)
	if n := knows(t, p, "r1", "pod1"); n != 3 {
		t.Errorf("a guest in a new worker started with %d sets, want 3", n)
	}
	for state := uint64(4); state < 40; state++ {
		first.set(state)
		if n := knows(t, p, fmt.Sprint("later", state), "pod1"); n != int(state) {
			t.Errorf("a guest started with %d sets, want %d", n, state)
		}
	}
	mustStart(t, p, spec(t, "stays", "pod1", "sleep"), runtime.Streams{})
	p.Close()

	second := newNetwork(0)
	cfg.Network = second
	p = open(t, cfg)
	command := spec(t, "command", "pod1", "sets")
	command.Of.Container, command.Of.Beside = "", "stays"
	if e := exitOf(t, mustStart(t, p, command, runtime.Streams{})); e.Code != 39 {
		t.Errorf("before the next agent knows all, its worker has %d sets, want the 39 of the last agent", e.Code)
	}
	second.set(2)
	if n := knows(t, p, "r2", "pod1"); n != 2 {
		t.Errorf("a guest in an adopted worker started with %d sets, want 2", n)
	}
	if second.resets == 0 {
		t.Error("the next agent did not tell everything")
	}
}

// Workers without a network for their guests start them all the same.
func TestAgentWithoutNetwork(t *testing.T) {
	p := open(t, config(t, t.TempDir()))
	if n := knows(t, p, "r1", "pod1"); n != 0 {
		t.Errorf("%d sets", n)
	}
}

// An agent learns what the network refuses, also to guests that have ended since. A worker can
// claim this only of pods that it hosts.
func TestRefusals(t *testing.T) {
	cfg := config(t, t.TempDir())
	n := newNetwork(1)
	cfg.Network = n
	p := open(t, cfg)
	victim := spec(t, "r2", "pod2", "sleep")
	victim.Isolated = true
	mustStart(t, p, victim, runtime.Streams{})
	for i := range 3 {
		g := mustStart(t, p, spec(t, fmt.Sprint("r", 10+i), "pod1", "refused", "pod2"), runtime.Streams{})
		exitOf(t, g)
		g.Forget()
	}
	eventually.True(t, "three refusals come", func() bool { return len(n.refused("pod1")) == 3 })
	if d := n.refused("pod1")[0].Denial; d != (runtime.Denial{Target: "10.0.0.1:80", By: runtime.ByPolicy, Times: 2}) {
		t.Errorf("%+v", d)
	}
	if others := n.refused("pod2"); len(others) > 0 {
		t.Errorf("a worker told of the pod of another one: %+v", others)
	}
}
