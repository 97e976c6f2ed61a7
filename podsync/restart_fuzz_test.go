package podsync

import (
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// run begins a run of a container that is starting, in an engine that outlives agents, and returns its ID.
func (w *world) run(name string) string {
	g := &guest{at: w.now, done: make(chan struct{})}
	g.spec.ID = fmt.Sprintf("run%d", w.begun)
	g.spec.Of = runtime.Origin{Pod: "u1", Container: name, Attempt: w.state.container(name).attempt + 1}
	w.begun++
	w.runs = append(w.runs, g)
	w.running[name] = true
	w.sizes[name] = w.state.container(name).actual
	return g.spec.ID
}

// end ends a container's run.
func (w *world) end(name string, code int32) *guest {
	i := slices.IndexFunc(w.runs, func(g *guest) bool { return g.spec.Of.Container == name && !ended(g) })
	g := w.runs[i]
	g.exit = runtime.Exit{Code: code, Reason: runtime.Error, FinishedAt: w.now}
	close(g.done)
	w.running[name] = false
	delete(w.kill, name)
	return g
}

// write lets the API server have the status, and the engine forget what was waiting for that.
func (w *world) write() {
	w.written = *w.status.DeepCopy()
	told := w.state.pod.DeepCopy()
	told.Status = w.written
	w.untold = slices.DeleteFunc(w.untold, func(r endedRun) bool {
		if r.told(told) {
			w.forget(r.process)
			return true
		}
		return false
	})
}

func (w *world) forget(process runtime.Process) {
	w.runs = slices.DeleteFunc(w.runs, func(g *guest) bool { return g == process })
}

// restart lets the agent end and another begin, which knows what the API server and the engine have. Bits of how say
// what happens in between.
func (w *world) restart(how byte) {
	w.t.Helper()
	w.trail = append(w.trail, fmt.Sprintf("%v restart %#x", w.now.Sub(t0), how))
	w.now = w.now.Add(time.Second)
	if how&1 != 0 { // the old agent's last write
		w.write()
	}
	w.endInBetween(how)
	pod := w.state.pod.DeepCopy()
	pod.Status = *w.written.DeepCopy()
	var runs []runtime.Run
	for _, g := range w.runs {
		runs = append(runs, g.run())
	}
	state, adopted := restore(pod, dirsOf("/nowhere", pod), runs, w.now)
	if w.state.place.Known { // that is on disk
		state.place = w.state.place
	}
	w.state, w.status, w.untold = state, pod.Status, adopted.ended
	w.setup, w.removal = 0, 0
	clear(w.pulls)
	clear(w.starts)
	clear(w.kill)
	w.asks, w.hooks, w.weighs, w.resizes = nil, nil, nil, nil
	w.final = ""
	if phase := pod.Status.Phase; phase == corev1.PodSucceeded || phase == corev1.PodFailed {
		w.final = phase
	}
	for _, stray := range adopted.strays {
		if g := stray.(*guest); !ended(g) { // nothing begins before it is gone
			w.end(g.spec.Of.Container, killedCode)
		}
		w.forget(stray)
	}
	w.adopted = map[string]bool{}
	for name := range adopted.running {
		w.adopted[name] = true
		w.sizes[name] = w.state.container(name).actual // as far as that agent knows
	}
	for name, runs := range w.running {
		if runs && !w.adopted[name] {
			w.fatalf("nobody follows the run of %s", name)
		}
	}
	w.happen(nil)
}

// endInBetween is what happens while no agent is there.
func (w *world) endInBetween(how byte) {
	if how&2 != 0 { // starts that were under way came about
		for _, c := range w.state.containers {
			if name := c.spec.Name; w.starts[name] > 0 {
				w.run(name)
			}
		}
	}
	for name, runs := range w.running {
		if runs && how&4 != 0 {
			w.end(name, int32(how>>4))
		}
	}
	if how&8 != 0 { // the guests' process ended
		w.runs = nil
		clear(w.running)
	}
}
