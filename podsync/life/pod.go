package life

import (
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/krustlet-go/krustlet-wasi/podsync/podspec"
)

// Stage is the state of a pod as a whole.
type Stage string

const (
	// Active: containers run as the spec says. Turns into closing when all have ended and none will
	// run again, or when the pod's time is up. Turns into ending when the pod is deleted.
	Active Stage = "active"
	// Closing: nothing starts any more. The guests that still run are being stopped: the sidecars,
	// or all guests if the pod's time is up. Turns into terminal, or into ending when the pod is
	// deleted.
	Closing Stage = "closing"
	// Terminal: the phase is terminal and nothing will run. Guests that an earlier agent left are
	// being stopped. Turns into ending when the pod is deleted.
	Terminal Stage = "terminal"
	// Ending: the pod is being deleted. Nothing starts, and running guests are being stopped. Turns
	// into removing when nothing runs any more.
	Ending Stage = "ending"
	// Removing: the last status is reported, the object is deleted, and the pod's folders are
	// removed, in this order. Turns into absent.
	Removing Stage = "removing"
	// Absent: the object and the folders are removed. Nothing more must be done.
	Absent Stage = "absent"
)

// verdict is the cause for which the whole pod ends, regardless of how its containers exit.
type verdict string

const (
	none verdict = ""
	// The node could not take the pod: its containers have no status.
	refused   verdict = "refused"
	expired   verdict = "expired"   // its time was up
	evicted   verdict = "evicted"   // it outgrew a limit
	relieving verdict = "relieving" // it was evicted because the node was under pressure
)

// Pod is the state of one pod. Its pod loop owns it. Twelve of its methods only return a field, so
// that other packages cannot change fields. No method reads a clock or does I/O.
type Pod struct {
	pod       *corev1.Pod // the newest object from the API server
	stage     Stage
	vanished  bool      // the object was deleted from the API server
	deadline  time.Time // while ending: when guests are killed; it never moves to a later time
	setup     Task      // the pod's folders and what its containers share
	wasSetUp  bool      // by an earlier agent: then the status shows this agent's setup only if it fails
	isolated  bool      // known after setup: the guests have a worker of their own
	addresses podspec.Addresses
	removal   Task // of the object and the folders
	resizing  resizing
	reported  bool      // the API server has the pod's current status
	closeBy   time.Time // while closing: when guests are killed
	verdict   verdict
	notice    notice // says that the pod must be evicted; used until the verdict is set
	// restarting names a container whose end makes all containers start over. It is set until all
	// the others have ended.
	restarting string
	reason     string       // of the pod, if it failed as a whole
	message    string       // the reason in more words
	startedAt  time.Time    // when this node accepted the pod
	containers []*container // init containers first, each kind in the order of the spec
}

// notice says that a pod must be evicted, and why.
type notice struct {
	verdict verdict
	message string
}

// newPod makes the state of a pod that no agent has handled yet.
func newPod(pod *corev1.Pod, now time.Time) *Pod {
	s := &Pod{pod: pod, stage: Active, startedAt: now}
	s.join(pod)
	return s
}

// join adds the containers that the state does not have yet. When the pod exists already, only
// ephemeral containers are new, for instance those of `kubectl debug`. Each runs once, beside the
// others and regardless of their state. It does not count for the pod's phase or readiness.
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

// Object is the newest object of the pod from the API server.
func (s *Pod) Object() *corev1.Pod { return s.pod }

// Stage is the stage of the pod.
func (s *Pod) Stage() Stage { return s.stage }

// Vanished reports whether the object was deleted from the API server.
func (s *Pod) Vanished() bool { return s.vanished }

// WasSetUp reports whether an earlier agent has set the pod up.
func (s *Pod) WasSetUp() bool { return s.wasSetUp }

// IsSetUp reports whether this agent has set the pod up.
func (s *Pod) IsSetUp() bool { return s.setup.IsComplete() }

// Isolated reports whether the pod's guests have a worker of their own.
func (s *Pod) Isolated() bool { return s.isolated }

// Addresses are the pod's addresses.
func (s *Pod) Addresses() podspec.Addresses { return s.addresses }

// StartedAt is when this node accepted the pod.
func (s *Pod) StartedAt() time.Time { return s.startedAt }

// SetReported notes whether the API server has the pod's status. It reports whether this is a
// change. After a change there may be more to do.
func (s *Pod) SetReported(is bool) (news bool) {
	news = s.reported != is
	s.reported = is
	return news
}

// Run is the present run of a container, or the last one.
type Run struct {
	Container *corev1.Container // as it was when the run started
	ID        string
	Attempt   int32     // from 0; -1 before the first run
	StoppedAt time.Time // when the machine decided to stop it; zero if it did not
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
