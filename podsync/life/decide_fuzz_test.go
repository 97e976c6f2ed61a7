package life

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"github.com/krustlet-go/krustlet-wasi/hack/testpod"
	"github.com/krustlet-go/krustlet-wasi/podsync/podspec"
)

// world does the work of the pod loop. It remembers what goes on. Results and other events happen
// in every order that a real loop could see.
type world struct {
	t       testing.TB
	state   *Pod
	now     time.Time
	status  corev1.PodStatus
	setup   int
	pulls   map[string]int
	starts  map[string]int
	running map[string]bool
	kill    map[string]time.Time
	removal int
	asks    []Ask  // under way
	hooks   []Hook // under way
	weighs  []Weigh
	resizes []Resize
	sizes   map[string]corev1.ResourceRequirements // sizes that guests have
	ended   bool                                   // the state knows that the pod is deleted
	final   corev1.PodPhase
	trail   []string
	address string // of the pod, once it has one

	runs     []Remnant        // the runs in an engine that outlives agents
	untold   []EndedRun       // the agent will make the engine forget them
	written  corev1.PodStatus // the status that the API server has
	vanished bool
	begun    int             // runs so far
	adopted  map[string]bool // containers whose run the last agent found
}

func newWorld(t testing.TB, pod *corev1.Pod) *world {
	return &world{
		t: t, state: newPod(pod, testpod.Epoch), now: testpod.Epoch,
		pulls: map[string]int{}, starts: map[string]int{}, running: map[string]bool{}, kill: map[string]time.Time{},
		sizes: map[string]corev1.ResourceRequirements{},
	}
}

func (w *world) fatalf(format string, args ...any) {
	w.t.Helper()
	for _, line := range w.trail {
		w.t.Log(line)
	}
	w.t.Fatalf(format, args...)
}

func (w *world) happen(what Input) {
	w.t.Helper()
	w.trail = append(w.trail, fmt.Sprintf("%v %#v", w.now.Sub(testpod.Epoch), what))
	if what != nil {
		w.state.Apply(what, w.now)
	}
	actions, wake := w.state.Decide(w.now)
	for _, action := range actions {
		w.trail = append(w.trail, "  "+describe(action))
		w.begin(action)
	}
	w.status = w.state.Status(w.status, testpod.NodeAddress, w.now)
	if w.state.reported {
		w.write()
	}
	w.check(wake)
}

// begin notes what an action starts. It checks that the action may start.
func (w *world) begin(action Action) {
	w.t.Helper()
	forbid := func(name string) {
		if w.ended {
			w.fatalf("%s after the pod was to end", describe(action))
		}
		if w.pulls[name]+w.starts[name] > 0 || w.running[name] {
			w.fatalf("%s while the container is busy", describe(action))
		}
		if w.final != "" {
			w.fatalf("%s in terminal phase %s", describe(action), w.final)
		}
	}
	switch a := action.(type) {
	case Prepare:
		w.setup++
	case Pull:
		forbid(a.Container.Name)
		w.pulls[a.Container.Name]++
	case Start:
		forbid(a.Container.Name)
		w.starts[a.Container.Name]++
	case Stop:
		if !w.running[a.Container] {
			w.fatalf("stop of %s, which does not run", a.Container)
		}
		by := w.now.Add(a.Grace)
		if old, ok := w.kill[a.Container]; ok && !by.Before(old) {
			w.fatalf("the kill of %s is put off", a.Container)
		}
		w.kill[a.Container] = by
	case Ask:
		w.mustRun(a.Container.Name, describe(action))
		for _, other := range w.asks {
			if other.Kind == a.Kind && other.ID == a.ID {
				w.fatalf("%s of run %s, twice at one time", describe(action), a.ID)
			}
		}
		w.asks = append(w.asks, a)
	case Hook:
		w.mustRun(a.Container.Name, describe(action))
		w.hooks = append(w.hooks, a)
	case Weigh:
		if len(w.weighs) > 0 {
			w.fatalf("the node is asked twice at one time")
		}
		w.weighs = append(w.weighs, a)
	case Resize:
		w.mustRun(a.Container.Name, describe(action))
		for _, other := range w.resizes {
			if other.ID == a.ID {
				w.fatalf("run %s is resized twice at one time", a.ID)
			}
		}
		if a.ID != w.state.find(a.Container.Name).id || sameSize(a.Container.Resources, w.sizes[a.Container.Name]) {
			w.fatalf("%s to the size that it has", describe(action))
		}
		w.resizes = append(w.resizes, a)
	case Remove:
		for name := range w.running {
			if w.running[name] {
				w.fatalf("removed while %s runs", name)
			}
		}
		w.removal++
	}
}

func (w *world) mustRun(name, what string) {
	w.t.Helper()
	if !w.running[name] {
		w.fatalf("%s of %s, which does not run", what, name)
	}
}

func (w *world) inFlight() int {
	n := w.setup + w.removal + len(w.asks) + len(w.hooks) + len(w.weighs) + len(w.resizes)
	for _, m := range []map[string]int{w.pulls, w.starts} {
		for _, v := range m {
			n += v
		}
	}
	for _, r := range w.running {
		if r {
			n++
		}
	}
	return n
}

// check checks the rules that hold after every event.
func (w *world) check(wake time.Time) {
	w.t.Helper()
	if w.final != "" && w.status.Phase != w.final {
		w.fatalf("phase %s became %s", w.final, w.status.Phase)
	}
	if w.status.Phase == corev1.PodSucceeded || w.status.Phase == corev1.PodFailed {
		w.final = w.status.Phase
		for name, r := range w.running {
			if _, stopped := w.kill[name]; r && !(stopped && w.adopted[name]) {
				w.fatalf("phase %s while %s runs", w.final, name)
			}
		}
	}
	resting := w.state.stage == Absent || w.state.stage == Terminal || w.state.stage == Removing && !w.state.reported
	if !resting && wake.IsZero() && w.inFlight() == 0 {
		w.fatalf("nothing is under way and nothing will wake the pod: life %s", w.state.stage)
	}
	if w.address != "" && w.status.PodIP != w.address {
		w.fatalf("address %s became %s", w.address, w.status.PodIP)
	}
	w.address = w.status.PodIP
	if !wake.IsZero() && !wake.After(w.now) {
		w.fatalf("wakes at once, at %v", wake.Sub(testpod.Epoch))
	}
	for _, c := range append(w.status.InitContainerStatuses, w.status.ContainerStatuses...) {
		set := 0
		for _, is := range []bool{c.State.Waiting != nil, c.State.Running != nil, c.State.Terminated != nil} {
			if is {
				set++
			}
		}
		if set != 1 {
			w.fatalf("container %s has %d states", c.Name, set)
		}
		if c.State.Running != nil && w.status.PodIP == "" {
			w.fatalf("container %s runs in a pod without an address", c.Name)
		}
		settling := w.state.stage == Active && w.state.find(c.Name).settling()
		if (c.State.Running != nil) != (w.running[c.Name] && !settling) {
			w.fatalf("container %s: status running %v, truth %v", c.Name, c.State.Running != nil, w.running[c.Name])
		}
		if c.State.Running != nil && (c.Resources == nil || !sameSize(*c.Resources, w.sizes[c.Name])) {
			w.fatalf("container %s: status size %v, truth %v", c.Name, c.Resources, w.sizes[c.Name])
		}
	}
}

// addresses are those of a pod that has been set up: its earlier ones, or else an address of its
// own or the node's.
func (w *world) addresses(which byte) podspec.Addresses {
	switch {
	case w.state.addresses.Known:
		return w.state.addresses
	case which%2 == 0:
		return podspec.Addresses{Known: true}
	}
	return podspec.Addresses{Known: true, Own: []netip.Addr{netip.AddrFrom4([4]byte{127, 1, 1, which})}}
}

var errTest = errors.New("test")

// play makes two bytes into one event, if that event can happen now.
func (w *world) play(what, which byte) {
	name := w.state.containers[int(which)%len(w.state.containers)].spec.Name
	givenUp := func(err error) error {
		if w.ended {
			return context.Canceled
		}
		return err
	}
	switch what % 22 {
	case 0:
		w.now = w.now.Add(time.Duration(which) * 100 * time.Millisecond)
		w.happen(nil)
	case 1:
		w.now = w.now.Add(time.Duration(which) * 10 * time.Second)
		w.happen(nil)
	case 2, 3:
		if w.setup > 0 {
			w.setup--
			if what%22 == 3 && which > 250 {
				w.happen(Prepared{Refused: &Refusal{"OutOfpods", "full"}})
				return
			}
			if what%22 == 2 {
				w.happen(Prepared{Err: errTest})
				return
			}
			w.happen(Prepared{Addresses: w.addresses(which)})
		}
	case 4, 5:
		if w.pulls[name] > 0 {
			w.pulls[name]--
			if what%22 == 4 {
				w.happen(Pulled{Container: name, Reason: "ErrImagePull", Err: givenUp(errTest)})
			} else {
				w.happen(Pulled{Container: name})
			}
		}
	case 6, 7, 8:
		if w.starts[name] == 0 {
			return
		}
		w.starts[name]--
		switch what % 22 {
		case 6:
			w.happen(Started{Container: name, ID: "x", Reason: "CreateContainerError", Err: givenUp(errTest)})
		case 7:
			w.happen(Started{Container: name, ID: "x", Err: givenUp(errTest)})
		default:
			w.happen(Started{Container: name, ID: w.run(name), At: w.now})
		}
	case 9:
		if w.running[name] {
			c, g := w.state.find(name), w.end(name, int32(which>>4))
			w.untold = append(w.untold, EndedRun{c.id, name, c.attempt})
			w.happen(RunEnded{name, *g.Exit})
		}
	case 10:
		w.ended = true
		if which%8 == 0 {
			w.vanished = true
			w.happen(Vanished{})
			return
		}
		w.happen(Updated{testpod.Deleted(w.state.pod, int64(which%5)*10)})
	case 11:
		if w.state.stage == Removing {
			w.state.reported = true
		}
		if w.removal > 0 {
			w.removal--
			w.happen(Removed{map[bool]error{true: errTest}[which%2 == 0]})
			return
		}
		if which >= 128 {
			w.happen(Updated{testpod.WithSize(w.state.pod, name, int64(which>>2%4))})
			return
		}
		w.happen(Updated{testpod.WithImage(w.state.pod, name, fmt.Sprintf("image:v%d", which>>2%3))})
	case 12:
		if !w.vanished {
			w.restart(which)
		}
	case 13:
		if which >= 224 {
			w.happen(Reclaimed{"low"})
			return
		}
		w.write()
	case 14, 15:
		if i := int(which >> 2); i < len(w.asks) {
			a := w.asks[i]
			w.asks = slices.Delete(w.asks, i, i+1)
			w.happen(Probed{Container: a.Container.Name, ID: a.ID, Kind: a.Kind, OK: what%22 == 14, Err: map[bool]error{true: errTest}[which%4 == 0]})
		}
	case 18, 19:
		if len(w.weighs) > 0 {
			a := w.weighs[0]
			w.weighs = nil
			var no *Refusal
			if what%22 == 19 {
				no = &Refusal{[]string{corev1.PodReasonDeferred, corev1.PodReasonInfeasible}[which%2], "full"}
			}
			w.happen(Weighed{a.Pod, no})
		}
	case 20, 21:
		if i := int(which >> 2); i < len(w.resizes) {
			a := w.resizes[i]
			w.resizes = slices.Delete(w.resizes, i, i+1)
			if a.ID == w.state.find(a.Container.Name).id && what%22 == 20 {
				w.sizes[a.Container.Name] = a.Container.Resources
			}
			w.happen(Resized{a.Container.Name, a.ID, a.Container.Resources, map[bool]error{true: errTest}[what%22 == 21]})
		}
	case 16, 17:
		if i := int(which >> 2); i < len(w.hooks) {
			h := w.hooks[i]
			w.hooks = slices.Delete(w.hooks, i, i+1)
			w.happen(HookEnded{Container: h.Container.Name, ID: h.ID, Kind: h.Kind, Err: map[bool]error{true: errTest}[what%22 == 16]})
		}
	}
}

// furnish gives a pod's containers what the bits of kind ask for: probes, hooks, sidecars, a
// deadline.
func furnish(pod *corev1.Pod, kind byte) {
	for _, list := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for i := range list {
			c := &list[i]
			if strings.HasPrefix(c.Name, "init") {
				if kind&8 == 0 || i > 0 {
					continue
				}
				always := corev1.ContainerRestartPolicyAlways
				c.RestartPolicy = &always
			}
			if kind&1 != 0 {
				c.StartupProbe, c.LivenessProbe = testpod.AsksTCP(0, 1, 2, 1), testpod.AsksTCP(3, 5, 2, 1)
			}
			if kind&2 != 0 {
				c.ReadinessProbe = testpod.AsksTCP(1, 3, 1, 2)
			}
			if kind&16 != 0 && c.Name == "a" {
				c.RestartPolicy, c.RestartPolicyRules = ptr.To(corev1.ContainerRestartPolicyNever), restartAllOn(3)
			}
			if kind&32 != 0 && i == 0 {
				c.ResizePolicy = []corev1.ContainerResizePolicy{{ResourceName: corev1.ResourceMemory, RestartPolicy: corev1.RestartContainer}}
			}
			if kind&4 != 0 {
				c.Lifecycle = &corev1.Lifecycle{PostStart: &corev1.LifecycleHandler{}, PreStop: &corev1.LifecycleHandler{}}
			}
		}
	}
	if kind&16 != 0 {
		limit := int64(600)
		pod.Spec.ActiveDeadlineSeconds = &limit
	}
}

// FuzzPodLife plays random lives and checks the rules of each. Nothing starts once the pod must
// end. A container is busy with one thing at a time. A kill is never delayed. A terminal phase is
// final. In a pod that is not complete, something goes on, or there is a time to wake up. All of
// this also holds when agents exit and start.
func FuzzPodLife(f *testing.F) {
	f.Add(byte(0), []byte{3, 0, 5, 0, 8, 0, 9, 0, 5, 0, 8, 0, 9, 16, 0, 100, 1, 3, 10, 1, 9, 0, 11, 1, 11, 1})
	f.Add(byte(1), []byte{3, 0, 5, 0, 8, 0, 9, 0, 5, 1, 5, 2, 8, 1, 7, 2, 10, 2, 10, 1, 9, 1, 11, 0, 11, 1, 11, 3})
	f.Add(byte(2), []byte{2, 0, 0, 10, 3, 0, 4, 0, 0, 30, 1, 1, 5, 0, 6, 0, 1, 2, 8, 0, 10, 8, 9, 0, 11, 0, 11, 1})
	f.Add(byte(0), []byte{3, 0, 5, 0, 8, 0, 12, 0, 3, 0, 9, 16, 12, 1, 13, 0, 3, 0, 5, 0, 12, 2, 12, 4, 10, 1, 12, 0, 9, 0, 11, 1, 11, 1})
	f.Add(byte(5), []byte{3, 0, 5, 0, 8, 0, 9, 0, 12, 3, 3, 0, 5, 1, 8, 1, 13, 0, 12, 1, 9, 0, 12, 5, 11, 1})
	f.Add(byte(2), []byte{3, 0, 5, 0, 8, 0, 17, 0, 0, 10, 15, 1, 0, 10, 15, 1, 16, 0, 9, 16, 5, 0, 8, 0, 17, 0, 14, 1, 10, 3, 17, 0, 0, 255, 9, 0, 11, 1, 11, 1})
	f.Add(byte(255), []byte{3, 0, 5, 0, 8, 0, 17, 0, 0, 10, 14, 1, 5, 1, 8, 1, 17, 0, 9, 1, 5, 1, 8, 1, 9, 2, 1, 255, 9, 0, 12, 1, 11, 1})
	f.Add(byte(16<<3+5), []byte{3, 0, 5, 0, 8, 0, 9, 0, 5, 1, 8, 1, 5, 2, 8, 2, 9, 49, 9, 2, 13, 0, 12, 1, 3, 0, 5, 0, 8, 0, 9, 0, 5, 1, 8, 1, 5, 2, 8, 2, 10, 1})
	f.Add(byte(0), []byte{3, 0, 5, 0, 8, 0, 11, 132, 18, 0, 20, 0, 11, 136, 19, 0, 1, 2, 18, 0, 21, 0, 12, 1, 3, 0, 18, 0, 20, 0, 10, 1, 9, 0, 11, 1, 11, 1})
	f.Add(byte(3), []byte{3, 0, 5, 0, 8, 0, 11, 132, 18, 0, 0, 20, 9, 0, 5, 0, 8, 0, 11, 140, 19, 1, 11, 128, 12, 5, 10, 1, 9, 0, 11, 1, 11, 1})
	f.Add(byte(2), []byte{3, 0, 5, 0, 8, 0, 13, 255, 10, 4, 13, 255, 0, 30, 9, 0, 11, 1, 11, 1})
	f.Fuzz(func(t *testing.T, kind byte, script []byte) {
		policy := []corev1.RestartPolicy{corev1.RestartPolicyAlways, corev1.RestartPolicyOnFailure, corev1.RestartPolicyNever}[kind%3]
		names := [][]string{{"a"}, {"init1", "a", "b"}, {"init1", "init2", "a"}}[kind/3%3]
		pod := testpod.New(policy, names...)
		furnish(pod, kind>>3|kind<<5&32)
		w := newWorld(t, pod)
		w.happen(nil)
		for i := 0; i+1 < len(script) && w.state.stage != Absent; i += 2 {
			w.play(script[i], script[i+1])
		}
	})
}
