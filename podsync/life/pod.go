package life

import (
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/krustlet-go/krustlet-wasi/podsync/podspec"
)

// Stage is where a pod stands as a whole.
type Stage string

const (
	// Active: containers are run as the spec says. Turns into closing when all have ended and none
	// will run again, or when the pod's time is up; into ending when the pod is to be deleted.
	Active Stage = "active"
	// Closing: nothing starts any more, and what still runs (sidecars, or all when the pod's time
	// is up) is being stopped. Turns into terminal, or into ending when the pod is to be deleted.
	Closing Stage = "closing"
	// Terminal: the phase is terminal and nothing will run. What an earlier agent left running is
	// stopped. Turns into ending when the pod is to be deleted.
	Terminal Stage = "terminal"
	// Ending: the pod is to be deleted; nothing starts, what runs is being stopped. Turns into
	// removing when nothing runs any more.
	Ending Stage = "ending"
	// Removing: the last status is reported, the object deleted, the pod's folders removed. Turns
	// into absent.
	Removing Stage = "removing"
	// Absent: object and folders are not there any more, and there is nothing left to do.
	Absent Stage = "absent"
)

// verdict says what ends a pod as a whole, whatever the exits of its containers say.
type verdict string

const (
	none      verdict = ""
	refused   verdict = "refused"   // the node could not take the pod: its containers have no status
	expired   verdict = "expired"   // its time was up
	evicted   verdict = "evicted"   // it outgrew a limit
	relieving verdict = "relieving" // it was evicted because the node was under pressure
)

// Pod is all that is known of one pod. Twelve of its methods only show a field, so that no field is
// changed from outside. Its pod loop owns it. No method reads a clock or does I/O.
type Pod struct {
	pod        *corev1.Pod // the newest from the API server
	stage      Stage
	vanished   bool      // the object is not in the API server any more
	deadline   time.Time // while ending: when guests are killed; it only comes nearer
	setup      Task      // the pod's folders and what its containers share
	wasSetUp   bool      // by an earlier agent: the setup of this one shows only if it fails
	isolated   bool      // known after setup: the guests have a process of their own
	addresses  podspec.Addresses
	removal    Task // of the object and the folders
	resizing   resizing
	reported   bool      // the API server has the pod's status
	closeBy    time.Time // while closing: when guests are killed
	verdict    verdict
	notice     notice       // that the pod has to go, before the verdict is passed
	restarting string       // the container whose end has all others end and start over, until they have ended
	reason     string       // of the pod, once it failed as a whole
	message    string       // and in more words
	startedAt  time.Time    // when this node took the pod up
	containers []*container // init containers first, each kind in the order of the spec
}

// notice says that a pod has to go.
type notice struct {
	verdict verdict
	message string
}

// newPod is the state of a pod that no agent has touched.
func newPod(pod *corev1.Pod, now time.Time) *Pod {
	s := &Pod{pod: pod, stage: Active, startedAt: now}
	s.join(pod)
	return s
}

// join takes up the containers that the state does not have yet. Once the pod is there these are
// ephemeral ones only, of `kubectl debug` for instance: each runs once, beside the others and
// whatever their state, and counts neither for the pod's phase nor for its readiness.
func (s *Pod) join(pod *corev1.Pod) {
	for _, c := range podspec.Containers(pod) {
		if s.find(c.Name) == nil {
			s.containers = append(s.containers, newContainer(c, podspec.KindOf(pod, c.Name)))
		}
	}
}

func (s *Pod) find(name string) *container {
	for _, c := range s.containers {
		if c.spec.Name == name {
			return c
		}
	}
	return nil
}

// Object is the newest of the pod from the API server.
func (s *Pod) Object() *corev1.Pod { return s.pod }

// Stage is the stage of the pod.
func (s *Pod) Stage() Stage { return s.stage }

// Vanished reports whether the object is not in the API server any more.
func (s *Pod) Vanished() bool { return s.vanished }

// WasSetUp reports whether an earlier agent has set the pod up.
func (s *Pod) WasSetUp() bool { return s.wasSetUp }

// IsSetUp reports whether this agent has set the pod up.
func (s *Pod) IsSetUp() bool { return s.setup.IsComplete() }

// Isolated reports whether the pod's guests have a process of their own.
func (s *Pod) Isolated() bool { return s.isolated }

// Addresses are the pod's addresses.
func (s *Pod) Addresses() podspec.Addresses { return s.addresses }

// StartedAt is when this node took the pod up.
func (s *Pod) StartedAt() time.Time { return s.startedAt }

// SetReported takes in whether the API server has the pod's status. It reports whether that is
// news: then there may be more to do.
func (s *Pod) SetReported(is bool) (news bool) {
	news = s.reported != is
	s.reported = is
	return news
}

// Run is the last run of a container, or the one that goes on.
type Run struct {
	Container *corev1.Container // with which it was started
	ID        string
	Attempt   int32     // from 0; -1 before the first run
	StoppedAt time.Time // when it was decided to stop it; zero: it was not
}

// LastRuns are the last runs of all containers.
func (s *Pod) LastRuns() []Run {
	var all []Run
	for _, c := range s.containers {
		all = append(all, c.lastRun())
	}
	return all
}

// LastRun is the last run of one container.
func (s *Pod) LastRun(container string) Run { return s.find(container).lastRun() }
