package podsync

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"go.uber.org/zap"

	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// use is what adds up over the runs of a container, and over the containers of a pod.
type use struct {
	CPU     time.Duration
	Traffic runtime.Traffic
}

func useOf(used runtime.Stats) use { return use{used.CPU, used.Traffic} }

func (u use) plus(more use) use { return use{u.CPU + more.CPU, u.Traffic.Plus(more.Traffic)} }

// spent is what the runs of a container have used that have ended.
type spent struct {
	Runs int32 // the attempts below count
	use
}

// with adds a run, unless it counts already.
func (s spent) with(attempt int32, used runtime.Stats) spent {
	if attempt < s.Runs {
		return s
	}
	return spent{attempt + 1, s.plus(useOf(used))}
}

// allSpent is what a pod's runs have used that have ended, for what this agent or an earlier one knows of them.
func (w *podLoop) allSpent() use {
	var sum use
	for _, s := range w.spent {
		sum = sum.plus(s.use)
	}
	return sum
}

// restoreSpent begins with what earlier agents have noted, and with runs that have ended since.
func (w *podLoop) restoreSpent() {
	w.spent = map[string]spent{}
	for _, r := range w.state.LastRuns() {
		name := r.Container.Name
		s, err := w.dirs.spent(name)
		if err != nil {
			w.log.Warn("what the pod has used begins at nothing", zap.Error(err))
		}
		w.spent[name] = s
	}
	for _, r := range w.ended {
		w.spent[r.Container] = w.spent[r.Container].with(r.Attempt, r.process.Stats())
	}
}

// spend adds a run that has ended, and notes it before anybody forgets the run.
func (w *podActions) spend(before spent, container string, attempt int32, process runtime.Process) spent {
	s := before.with(attempt, process.Stats())
	if err := w.dirs.keepSpent(container, s); err != nil {
		w.log.Warn("the next agent will not know what the pod has used", zap.Error(err))
	}
	return s
}

func (d podDirs) keepSpent(container string, s spent) error {
	text, err := json.Marshal(s)
	if err == nil {
		err = writeWhole(d.spentFile(container), string(text))
	}
	if err != nil {
		return fmt.Errorf("noting what the container has used: %w", err)
	}
	return nil
}

// spent is what keepSpent was given last, or nothing.
func (d podDirs) spent(container string) (s spent, err error) {
	err = readJSON(d.spentFile(container), &s)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return spent{}, fmt.Errorf("reading what the container has used: %w", err)
	}
	return s, nil
}
