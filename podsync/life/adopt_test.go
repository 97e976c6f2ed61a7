package life

import (
	"fmt"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/krustlet-go/krustlet-wasi/hack/testpod"
	"github.com/krustlet-go/krustlet-wasi/podsync/podspec"
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// foundRun is a running attempt of container a. It began attempt minutes after the epoch.
func foundRun(id string, attempt int32) Remnant {
	return Remnant{
		ID: id, Of: runtime.Origin{Pod: "u1", Container: "a", Attempt: attempt, ImageID: "image-" + id},
		StartedAt: testpod.Epoch.Add(time.Duration(attempt) * time.Minute),
	}
}

func (r Remnant) after(code int32) Remnant {
	r.Exit = &runtime.Exit{Code: code, Reason: runtime.Error, FinishedAt: testpod.Epoch.Add(time.Hour)}
	return r
}

// left are the remains of a pod with runs in the engine.
func left(runs ...Remnant) Remains { return Remains{Runs: runs} }

func isWaiting(id string, attempt, code int32) *corev1.ContainerStatus {
	return &corev1.ContainerStatus{
		Name: "a", ContainerID: "wasmtime://" + id, RestartCount: attempt,
		State:                corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}},
		LastTerminationState: corev1.ContainerState{Terminated: testpod.ExitOf(id, code)},
	}
}

// TestRestoreWithRuns: the state is made from the status and from the runs that the engine still
// has.
func TestRestoreWithRuns(t *testing.T) {
	runStart := func(attempt int32) string { return foundRun("", attempt).StartedAt.Format(time.TimeOnly) }
	for name, tt := range map[string]struct {
		status *corev1.ContainerStatus
		runs   []Remnant
		onDisk int32 // the attempt of the newest log
		// The rest is what is expected: the state and the last state in the status, and what
		// happens to the runs.
		state   string
		last    string
		count   int32
		imageID string
		ended   []string
		strays  []string
	}{
		"it goes on": {
			status: testpod.IsRunning("x", 2, testpod.ExitOf("w", 3)), runs: []Remnant{foundRun("x", 2)}, onDisk: 2,
			state: "x running since 03:04:04", last: "w ended with 3", count: 2, imageID: "image-x",
		},
		"it goes on, and a newer log is not believed": {
			status: testpod.IsRunning("x", 2, testpod.ExitOf("w", 3)), runs: []Remnant{foundRun("x", 2)}, onDisk: 5,
			state: "x running since 03:04:04", last: "w ended with 3", count: 2, imageID: "image-x",
		},
		"it ended meanwhile": {
			status: testpod.IsRunning("x", 2, testpod.ExitOf("w", 3)), runs: []Remnant{foundRun("x", 2).after(7)}, onDisk: 2,
			state: "x ended with 7", last: "w ended with 3", count: 2, imageID: "image-x", ended: []string{"x"},
		},
		"it is lost": {
			status: testpod.IsRunning("x", 2, testpod.ExitOf("w", 3)), onDisk: 2,
			state: "x ended with 137", last: "w ended with 3", count: 2, imageID: "image-x",
		},
		"no status tells of the first run": {
			runs: []Remnant{foundRun("x", 0)}, onDisk: 0,
			state: "x running since " + runStart(0), last: "", count: 0, imageID: "image-x",
		},
		"no status tells of the first run, which ended": {
			runs: []Remnant{foundRun("x", 0).after(7)}, onDisk: 0,
			state: "x ended with 7", last: "", count: 0, imageID: "image-x", ended: []string{"x"},
		},
		"no status tells of a restart": {
			status: testpod.IsTerminated("w", 2, 3), runs: []Remnant{foundRun("x", 3)}, onDisk: 3,
			state: "x running since " + runStart(3), last: "w ended with 3", count: 3, imageID: "image-x",
		},
		"no status tells of a restart after a back-off": {
			status: isWaiting("w", 2, 3), runs: []Remnant{foundRun("x", 3)}, onDisk: 3,
			state: "x running since " + runStart(3), last: "w ended with 3", count: 3, imageID: "image-x",
		},
		"no status tells of an exit and the restart": {
			status: testpod.IsRunning("w", 2), runs: []Remnant{foundRun("x", 3), foundRun("w", 2).after(3)}, onDisk: 3,
			state: "x running since " + runStart(3), last: "w ended with 3", count: 3, imageID: "image-x", ended: []string{"w"},
		},
		"no status tells of an exit, the restart and its exit": {
			status: testpod.IsRunning("w", 2), runs: []Remnant{foundRun("x", 3).after(4), foundRun("w", 2).after(3)}, onDisk: 3,
			state: "x ended with 4", last: "w ended with 3", count: 3, imageID: "image-x", ended: []string{"w", "x"},
		},
		"a run was lost, and the next goes on": {
			status: testpod.IsRunning("w", 2), runs: []Remnant{foundRun("x", 3)}, onDisk: 3,
			state: "x running since " + runStart(3), last: "w ended with 137", count: 3, imageID: "image-x",
		},
		"the exit is told already": {
			status: testpod.IsTerminated("x", 2, 7), runs: []Remnant{foundRun("x", 2).after(7)}, onDisk: 2,
			state: "x ended with 7", count: 2, strays: []string{"x"},
		},
		"a run was called ended, yet it goes on": {
			status: testpod.IsTerminated("x", 2, 137), runs: []Remnant{foundRun("x", 2)}, onDisk: 2,
			state: "x ended with 137", count: 2, strays: []string{"x"},
		},
		"an older exit was told and not forgotten": {
			status: testpod.IsRunning("x", 3, testpod.ExitOf("w", 3)), runs: []Remnant{foundRun("w", 2).after(3), foundRun("x", 3)}, onDisk: 3,
			state: "x running since 03:04:04", last: "w ended with 3", count: 3, imageID: "image-x", strays: []string{"w"},
		},
		"two runs of one attempt, one of them known": {
			status: testpod.IsRunning("x", 2), runs: []Remnant{foundRun("y", 2), foundRun("x", 2)}, onDisk: 2,
			state: "x running since 03:04:04", count: 2, imageID: "image-x", strays: []string{"y"},
		},
		"two runs go on": {
			status: isWaiting("v", 1, 3), runs: []Remnant{foundRun("x", 3), foundRun("w", 2)}, onDisk: 3,
			state: "x running since " + runStart(3), last: "v ended with 3", count: 3, imageID: "image-x", strays: []string{"w"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			pod := testpod.New(corev1.RestartPolicyNever, "a")
			if tt.status != nil {
				pod.Status.ContainerStatuses = []corev1.ContainerStatus{*tt.status}
				pod.Status.Phase = corev1.PodRunning
			}
			state, adopted := Restore(pod, Remains{LastAttempt: map[string]int32{"a": tt.onDisk}, Runs: tt.runs}, testpod.Epoch)
			c := state.Status(pod.Status, testpod.NodeAddress, testpod.Epoch).ContainerStatuses[0]
			if got := word(c.State, c.ContainerID); got != tt.state {
				t.Errorf("state %q, want %q", got, tt.state)
			}
			if got := word(c.LastTerminationState, ""); got != tt.last {
				t.Errorf("last state %q, want %q", got, tt.last)
			}
			if c.RestartCount != tt.count || c.ImageID != tt.imageID {
				t.Errorf("restartCount %d, image %q, want %d, %q", c.RestartCount, c.ImageID, tt.count, tt.imageID)
			}
			var ended []string
			for _, r := range adopted.Ended {
				ended = append(ended, r.ID)
			}
			if !slices.Equal(ended, tt.ended) || !slices.Equal(adopted.Strays, tt.strays) {
				t.Errorf("to be told and forgotten: %v, want %v; strays %v, want %v", ended, tt.ended, adopted.Strays, tt.strays)
			}
			if (adopted.Running["a"] != "") != (c.State.Running != nil) {
				t.Errorf("followed: %v, shown as running: %v", adopted.Running["a"] != "", c.State.Running != nil)
			}
		})
	}
}

// word is a container's state in one line.
func word(state corev1.ContainerState, id string) string {
	switch {
	case state.Running != nil:
		return fmt.Sprintf("%s running since %s", podspec.RunID(id), state.Running.StartedAt.Format(time.TimeOnly))
	case state.Terminated != nil:
		return fmt.Sprintf("%s ended with %d", podspec.RunID(state.Terminated.ContainerID), state.Terminated.ExitCode)
	case state.Waiting != nil:
		return "waiting"
	}
	return ""
}

func TestRestoreStopsWhatIsNotToRun(t *testing.T) {
	t.Run("a container that the spec does not have", func(t *testing.T) {
		pod := testpod.New(corev1.RestartPolicyAlways, "b")
		_, adopted := Restore(pod, left(foundRun("x", 0)), testpod.Epoch)
		if len(adopted.Strays) != 1 || len(adopted.Running) != 0 {
			t.Errorf("%+v", adopted)
		}
	})
	t.Run("a pod that another client has failed", func(t *testing.T) {
		pod := testpod.New(corev1.RestartPolicyAlways, "a")
		pod.Status = corev1.PodStatus{Phase: corev1.PodFailed, ContainerStatuses: []corev1.ContainerStatus{*testpod.IsRunning("x", 0)}}
		state, _ := Restore(pod, left(foundRun("x", 0)), testpod.Epoch)
		s := script{t, state}
		s.at(0, nil, "event Killing", "stop a in 0s")
		s.at(1, exit("a", 137, 1))
		s.phase(corev1.PodFailed)
		if c := s.status().ContainerStatuses[0]; c.State.Terminated == nil || c.State.Terminated.ExitCode != 137 {
			t.Errorf("%+v", c.State)
		}
	})
	t.Run("a finished pod does not take up a run that it does not know", func(t *testing.T) {
		pod := testpod.New(corev1.RestartPolicyOnFailure, "a")
		pod.Status = corev1.PodStatus{Phase: corev1.PodSucceeded, ContainerStatuses: []corev1.ContainerStatus{*testpod.IsTerminated("w", 0, 0)}}
		state, adopted := Restore(pod, left(foundRun("x", 1)), testpod.Epoch)
		s := script{t, state}
		s.at(0, nil)
		s.phase(corev1.PodSucceeded)
		if c := s.status().ContainerStatuses[0]; c.State.Terminated == nil || len(adopted.Strays) != 1 {
			t.Errorf("%+v %+v", c.State, adopted)
		}
	})
	for rest, want := range map[time.Duration]string{20 * time.Second: "20s", -time.Hour: "0s", time.Hour: "30s"} {
		t.Run(fmt.Sprintf("a pod whose grace ends in %v", rest), func(t *testing.T) {
			pod := testpod.Deleted(testpod.New(corev1.RestartPolicyAlways, "a"), 30)
			at := stamp(testpod.Epoch.Add(rest))
			pod.DeletionTimestamp = &at
			pod.Status = corev1.PodStatus{Phase: corev1.PodRunning, ContainerStatuses: []corev1.ContainerStatus{*testpod.IsRunning("x", 0)}}
			state, _ := Restore(pod, left(foundRun("x", 0)), testpod.Epoch)
			script{t, state}.at(0, nil, "giveup", "event Killing", "stop a in "+want)
		})
	}
	t.Run("an init container goes on", func(t *testing.T) {
		pod := testpod.New(corev1.RestartPolicyNever, "init", "a")
		status := testpod.IsRunning("x", 0)
		status.Name = "init"
		pod.Status = corev1.PodStatus{Phase: corev1.PodPending, InitContainerStatuses: []corev1.ContainerStatus{*status}}
		run := foundRun("x", 0)
		run.Of.Container = "init"
		state, _ := Restore(pod, left(run), testpod.Epoch)
		s := script{t, state}
		s.at(0, nil, "prepare")
		s.at(0, Prepared{})
		s.at(1, exit("init", 0, 1), "pull a")
	})
}

func TestTold(t *testing.T) {
	run := EndedRun{ID: "x", Container: "a", Attempt: 2}
	for name, tt := range map[string]struct {
		status *corev1.ContainerStatus
		told   bool
	}{
		"no status":          {nil, false},
		"still running":      {testpod.IsRunning("x", 2, testpod.ExitOf("w", 3)), false},
		"run before":         {testpod.IsTerminated("w", 1, 3), false},
		"ended":              {testpod.IsTerminated("x", 2, 7), true},
		"waits to run again": {isWaiting("x", 2, 7), true},
		"runs again":         {testpod.IsRunning("y", 3, testpod.ExitOf("x", 7)), true},
		"of the past":        {isWaiting("y", 3, 7), true},
	} {
		pod := testpod.New(corev1.RestartPolicyAlways, "a")
		if tt.status != nil {
			pod.Status.ContainerStatuses = []corev1.ContainerStatus{*tt.status}
		}
		if got := run.Told(pod); got != tt.told {
			t.Errorf("%s: told %v", name, got)
		}
	}
}
