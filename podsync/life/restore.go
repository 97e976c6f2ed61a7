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

// Remains are what earlier agents left of a pod besides its status.
type Remains struct {
	Addresses podspec.Addresses // from the notes; not known if there is no note
	// LastAttempt is, by container, the newest attempt with a log. A container without a log has no
	// entry.
	LastAttempt map[string]int32
	Runs        []Remnant // the runs that the engine has
}

// Remnant is a run that an earlier agent started.
type Remnant struct {
	ID        string
	Of        runtime.Origin
	StartedAt time.Time
	Exit      *runtime.Exit // nil if the run goes on
}

// Adopted says what happens to the remnants.
type Adopted struct {
	Running map[string]string // by container, the IDs of the runs that go on
	Ended   []EndedRun        // the state has their exits; the API server may not have them
	// Strays are the IDs of runs that no container keeps. They must be stopped and forgotten.
	Strays []string
}

// EndedRun is a run that has ended, and whose exit the API server may not have.
type EndedRun struct {
	ID        string
	Container string
	Attempt   int32
}

// Told reports whether a pod's status has the exit of the run or of a later run of the container.
// After a later run no status will have this exit.
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

// Restore makes the state of a pod that this agent finds. It goes on from the status, which an
// earlier agent wrote, and from the runs that the engine still has. A terminal phase stays. A run
// that goes on belongs to its container. A run that the engine does not have any more has ended.
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
	if t := pod.DeletionTimestamp; t != nil { // the end of the grace period
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

// adopt lets the containers go on with the runs that the engine has. A container keeps its newest
// run. A run that no container keeps is a stray.
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
			// The earlier agent ended before it could report this run.
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

// supersede makes a remnant the container's last run.
func (c *container) supersede(r Remnant) {
	if c.exit != nil {
		c.before, c.exit = c.exit, nil
	}
	c.id, c.begun, c.image.id = r.ID, r.StartedAt, r.Of.ImageID
	c.probes, c.postStart, c.startsOver = [probeKinds]probeState{}, complete, false
}

// restoreUntold restores a run of which only a log exists. attempt is that of the newest log. The
// run began when no status could be written any more, and its end is not known.
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
