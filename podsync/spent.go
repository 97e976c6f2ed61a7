package podsync

import (
	"go.uber.org/zap"

	"github.com/krustlet-go/krustlet-wasi/podsync/podfiles"
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// allSpent is the use by the runs of a pod that have ended, as far as this agent and earlier ones
// know.
func (w *podLoop) allSpent() podfiles.Use {
	var sum podfiles.Use
	for _, s := range w.spent {
		sum = sum.Plus(s.Use)
	}
	return sum
}

// restoreSpent reads the notes of earlier agents, and adds the runs that have ended since.
func (w *podLoop) restoreSpent() {
	w.spent = map[string]podfiles.Spent{}
	for _, r := range w.state.LastRuns() {
		name := r.Container.Name
		s, err := w.dirs.Spent(name)
		if err != nil {
			w.log.Warn("what the pod has used begins at nothing", zap.Error(err))
		}
		w.spent[name] = s
	}
	for _, r := range w.ended {
		w.spent[r.Container] = w.spent[r.Container].With(r.Attempt, r.process.Stats())
	}
}

// spend adds a run that has ended to what was used before. It writes that to disk before the run is
// forgotten.
func (w *podActions) spend(before podfiles.Spent, container string, attempt int32, process runtime.Guest) podfiles.Spent {
	s := before.With(attempt, process.Stats())
	if err := w.dirs.KeepSpent(container, s); err != nil {
		w.log.Warn("the next agent will not know what the pod has used", zap.Error(err))
	}
	return s
}
