package life

import (
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/krustlet-go/krustlet-wasi/hack/testpod"
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// run begins a run of a container that is starting. The engine outlives agents. run returns the ID.
func (w *world) run(name string) string {
	id := fmt.Sprintf("run%d", w.begun)
	of := runtime.Origin{Pod: "u1", Container: name, Attempt: w.state.find(name).attempt + 1}
	w.begun++
	w.runs = append(w.runs, Remnant{ID: id, Of: of, StartedAt: w.now})
	w.running[name] = true
	w.sizes[name] = w.state.find(name).size.actual
	return id
}

// end ends a container's run.
func (w *world) end(name string, code int32) Remnant {
	i := slices.IndexFunc(w.runs, func(r Remnant) bool { return r.Of.Container == name && r.Exit == nil })
	w.runs[i].Exit = &runtime.Exit{Code: code, Reason: runtime.Error, FinishedAt: w.now}
	w.running[name] = false
	delete(w.kill, name)
	return w.runs[i]
}

// write gives the API server the status. Then the engine forgets the runs that waited for that.
func (w *world) write() {
	w.written = *w.status.DeepCopy()
	told := w.state.pod.DeepCopy()
	told.Status = w.written
	w.untold = slices.DeleteFunc(w.untold, func(r EndedRun) bool {
		if r.Told(told) {
			w.forget(r.ID)
			return true
		}
		return false
	})
}

func (w *world) forget(id string) {
	w.runs = slices.DeleteFunc(w.runs, func(r Remnant) bool { return r.ID == id })
}

// restart ends the agent and starts another one, which knows what the API server and the engine
// have. The bits of how decide what happens in between.
func (w *world) restart(how byte) {
	w.t.Helper()
	w.trail = append(w.trail, fmt.Sprintf("%v restart %#x", w.now.Sub(testpod.Epoch), how))
	w.now = w.now.Add(time.Second)
	if how&1 != 0 { // the old agent still writes its status
		w.write()
	}
	w.endInBetween(how)
	pod := w.state.pod.DeepCopy()
	pod.Status = *w.written.DeepCopy()
	state, adopted := Restore(pod, Remains{Addresses: w.state.addresses, Runs: slices.Clone(w.runs)}, w.now)
	w.state, w.status, w.untold = state, pod.Status, adopted.Ended
	w.setup, w.removal = 0, 0
	clear(w.pulls)
	clear(w.starts)
	clear(w.kill)
	w.asks, w.hooks, w.weighs, w.resizes = nil, nil, nil, nil
	w.final = ""
	if phase := pod.Status.Phase; phase == corev1.PodSucceeded || phase == corev1.PodFailed {
		w.final = phase
	}
	for _, stray := range adopted.Strays {
		if i := slices.IndexFunc(w.runs, func(r Remnant) bool { return r.ID == stray }); w.runs[i].Exit == nil { // no new run begins before this one has ended
			w.end(w.runs[i].Of.Container, killedCode)
		}
		w.forget(stray)
	}
	w.adopted = map[string]bool{}
	for name := range adopted.Running {
		w.adopted[name] = true
		w.sizes[name] = w.state.find(name).size.actual // as far as the new agent knows
	}
	for name, runs := range w.running {
		if runs && !w.adopted[name] {
			w.fatalf("the run of %s is not followed", name)
		}
	}
	w.happen(nil)
}

// endInBetween makes the events that happen while no agent runs.
func (w *world) endInBetween(how byte) {
	if how&2 != 0 { // the starts that were going on have succeeded
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
	if how&8 != 0 { // the guests' worker exited
		w.runs = nil
		clear(w.running)
	}
}
