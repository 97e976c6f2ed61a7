package podfiles

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// Use has the figures that are summed over the runs of a container, and over the containers of a
// pod.
type Use struct {
	CPU     time.Duration
	Traffic runtime.Traffic
}

func UseOf(used runtime.Stats) Use { return Use{used.CPU, used.Traffic} }

func (u Use) Plus(more Use) Use { return Use{u.CPU + more.CPU, u.Traffic.Plus(more.Traffic)} }

// Spent is what the ended runs of a container have used.
type Spent struct {
	Runs int32 // attempts below this number are included
	Use
}

// With adds a run, unless the run is included already.
func (s Spent) With(attempt int32, used runtime.Stats) Spent {
	if attempt < s.Runs {
		return s
	}
	return Spent{attempt + 1, s.Plus(UseOf(used))}
}

func (d Pod) KeepSpent(container string, s Spent) error {
	text, err := json.Marshal(s)
	if err == nil {
		err = writeWhole(d.spentFile(container), string(text))
	}
	if err != nil {
		return fmt.Errorf("noting what the container has used: %w", err)
	}
	return nil
}

// Spent is what KeepSpent noted last, or zero.
func (d Pod) Spent(container string) (s Spent, err error) {
	err = readJSON(d.spentFile(container), &s)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return Spent{}, fmt.Errorf("reading what the container has used: %w", err)
	}
	return s, nil
}
