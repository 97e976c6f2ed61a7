package life

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/krustlet-go/krustlet-wasi/podsync/podspec"
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// LostMessage is the message of a run whose worker exited.
const LostMessage = "The process that hosted the container ended, and the container with it"

// Remains are what earlier agents left of a pod, besides its status.
type Remains struct {
	Addresses podspec.Addresses // from the notes; unknown if there is no note
	// LastAttempt is the newest attempt with a log, by container. A container without a log has no
	// entry.
	LastAttempt map[string]int32
	Runs        []Remnant // the runs that the engine still has
}

// Remnant is a run that an earlier agent started.
type Remnant struct {
	ID        string
	Of        runtime.Origin
	StartedAt time.Time
	Exit      *runtime.Exit // nil if the guest still runs
}

// Adopted says what happens to the runs of an earlier agent.
type Adopted struct {
	Running map[string]string // the IDs of the runs that continue, by container
	Ended   []EndedRun        // the state has their exits; the API server may not have them yet
	// Strays are the IDs of runs that no container keeps. They must be stopped and forgotten.
	Strays []string
}

// EndedRun is a run that has ended, and whose exit the API server may not have.
type EndedRun struct {
	ID        string
	Container string
	Attempt   int32
}

// Told reports whether a pod's status has the exit of this run or of a later run of the container.
// After a later run, no status will have this exit.
func (r EndedRun) Told(pod *corev1.Pod) bool {
	status := podspec.StatusOf(pod, r.Container)
	if status == nil {
		return false
	}
	if status.RestartCount > r.Attempt {
		return true
	}
	for _, exit := range []*corev1.ContainerStateTerminated{status.State.Terminated, status.LastTerminationState.Terminated} {
		if exit != nil && podspec.RunID(exit.ContainerID) == r.ID {
			return true
		}
	}
	return false
}

// Restore makes the state of a pod that this agent finds. It uses the status, which an earlier
// agent wrote, and the runs that the engine still has. A terminal phase stays. A run that continues
// belongs to its container. A run that the engine no longer has counts as ended.
func Restore(pod *corev1.Pod, left Remains, now time.Time) (*Pod, Adopted) {
	s := newPod(pod, now)
	s.reason, s.message = pod.Status.Reason, pod.Status.Message
	if t := pod.Status.StartTime; t != nil {
		s.startedAt = t.Time
	}
	if podspec.Terminal(pod.Status.Phase) {
		s.stage = Terminal
		s.setup.progress = complete
		if pod.Status.Phase == corev1.PodFailed && len(pod.Status.ContainerStatuses) == 0 {
			s.verdict = refused
		}
	}
	for _, c := range s.containers {
		if status := podspec.StatusOf(pod, c.spec.Name); status != nil {
			c.restore(status)
			c.restoreSize(status)
			c.restoreProbes(status, string(pod.UID), now)
		}
	}
	s.wasSetUp = podspec.HasCondition(&pod.Status, corev1.PodReadyToStartContainers, corev1.ConditionTrue)
	s.restoreResize(&pod.Status)
	s.addresses = left.Addresses
	if !s.addresses.Known && (s.wasSetUp || s.stage == Terminal) {
		s.addresses = addressesOf(&pod.Status)
	}
	adopted := s.adopt(left.Runs, now)
	for _, c := range s.containers {
		if c.step == running && adopted.Running[c.spec.Name] == "" {
			c.lose(c.begun, now)
		}
		if status := podspec.StatusOf(pod, c.spec.Name); status != nil {
			c.restoreImage(status)
		}
		if attempt, is := left.LastAttempt[c.spec.Name]; is {
			c.restoreUntold(attempt, now)
		}
	}
	if t := pod.DeletionTimestamp; t != nil { // when the grace period ends
		s.deadline = now
		if t.After(now) {
			s.deadline = t.Time
		}
	}
	s.shortenGrace(now)
	return s, adopted
}

// addressesOf are the addresses in a pod's status.
func addressesOf(status *corev1.PodStatus) podspec.Addresses {
	switch status.PodIP {
	case "":
		return podspec.Addresses{}
	case status.HostIP:
		return podspec.Addresses{Known: true}
	}
	var own []netip.Addr
	for _, ip := range status.PodIPs {
		a, err := netip.ParseAddr(ip.IP)
		if err != nil {
			return podspec.Addresses{}
		}
		own = append(own, a)
	}
	return podspec.Addresses{Known: true, Own: own}
}

// restore restores a container from its status.
func (c *container) restore(status *corev1.ContainerStatus) {
	c.image.id = status.ImageID
	c.id = podspec.RunID(status.ContainerID)
	switch {
	case status.State.Running != nil:
		c.attempt, c.before = status.RestartCount, status.LastTerminationState.Terminated
		c.step, c.begun = running, status.State.Running.StartedAt.Time
	case status.State.Terminated != nil:
		c.attempt, c.before = status.RestartCount, status.LastTerminationState.Terminated
		c.step, c.exit = ended, status.State.Terminated
	case status.LastTerminationState.Terminated != nil:
		c.attempt, c.step, c.exit = status.RestartCount, ended, status.LastTerminationState.Terminated
		c.restoreStartOver()
	}
}

// adopt lets the containers continue with the runs that the engine has. A container keeps its
// newest run. A run that no container keeps is a stray.
func (s *Pod) adopt(runs []Remnant, now time.Time) Adopted {
	a := Adopted{Running: map[string]string{}}
	runs = slices.Clone(runs)
	slices.SortFunc(runs, func(x, y Remnant) int {
		return cmp.Or(cmp.Compare(x.Of.Attempt, y.Of.Attempt), y.StartedAt.Compare(x.StartedAt))
	})
	for _, r := range runs {
		name := r.Of.Container
		c := s.find(name)
		switch {
		case c == nil:
			a.Strays = append(a.Strays, r.ID)
			continue
		case c.step == running && c.id == r.ID: // as the status says
		case r.Of.Attempt > c.attempt && s.stage != Terminal:
			// The earlier agent exited before it could report this run.
			if old := a.Running[name]; old != "" {
				a.Strays = append(a.Strays, old)
			} else if c.step == running {
				c.lose(c.begun, now)
			}
			c.supersede(r)
		default:
			a.Strays = append(a.Strays, r.ID)
			continue
		}
		c.step, c.attempt = running, r.Of.Attempt
		delete(a.Running, name)
		if r.Exit != nil {
			a.Ended = append(a.Ended, EndedRun{r.ID, name, r.Of.Attempt})
			c.applyExit(*r.Exit, now)
		} else {
			a.Running[name] = r.ID
		}
	}
	return a
}

// supersede makes an earlier agent's run the container's last run.
func (c *container) supersede(r Remnant) {
	if c.exit != nil {
		c.before, c.exit = c.exit, nil
	}
	c.id, c.begun, c.image.id = r.ID, r.StartedAt, r.Of.ImageID
	c.probes, c.postStart, c.startsOver = [probeKinds]probeState{}, complete, false
}

// restoreUntold restores a run that left only a log. attempt is that of the newest log. The earlier
// agent wrote no status after the run began, so the run's end is unknown.
func (c *container) restoreUntold(attempt int32, now time.Time) {
	if c.step == running || attempt <= c.attempt {
		return
	}
	c.id, c.attempt, c.before, c.startsOver = "", attempt, c.exit, false
	c.lose(now, now)
}

// lose ends a run whose worker exited.
func (c *container) lose(began, now time.Time) {
	c.step = ended
	c.exit = &corev1.ContainerStateTerminated{
		ExitCode: killedCode, Reason: string(runtime.Error), Message: LostMessage,
		StartedAt: stamp(began), FinishedAt: stamp(now), ContainerID: podspec.ContainerID(c.id),
	}
}
