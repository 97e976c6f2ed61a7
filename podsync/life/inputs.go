package life

import (
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/krustlet-go/krustlet-wasi/podsync/podspec"
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// Input is something that happened: news from the API server, or the result of an action. Each kind
// of input has its own method that changes the state, so every kind is handled.
type Input interface {
	apply(s *Pod, now time.Time)
}

// Refusal says why a pod may not run on this node, or why it gets no more resources. The words are
// the kubelet's.
type Refusal struct{ Reason, Message string }

type (
	// Updated says that the object changed.
	Updated struct{ Pod *corev1.Pod }
	// Vanished says that the object was deleted from the API server.
	Vanished struct{}
	// Prepared says that the pod's folders exist and its RuntimeClass is known. Otherwise Refused
	// is set if the node cannot take the pod, and Err is set for all other causes.
	Prepared struct {
		Refused   *Refusal
		Isolated  bool
		Addresses podspec.Addresses
		Err       error
	}
	// ClassChanged says that the pod's RuntimeClass is new or has changed.
	ClassChanged struct{}
	// AddressesLost says that another pod has the addresses of this pod, which was restored.
	AddressesLost struct{}
	// Outgrown says that a volume of the pod exceeds its limit, so the pod must be evicted. Message
	// names the volume.
	Outgrown struct{ Message string }
	// Reclaimed says that the pod must be evicted because the node is under pressure. Message names
	// the resource that the node is short of.
	Reclaimed struct{ Message string }
	// Pulled says that the module is on disk. Otherwise Reason and Err say why not.
	Pulled struct {
		Container string
		ImageID   string
		Others    bool   // volumes of the container show images too
		Lacks     string // if Err is about a volume's image: that image
		Reason    string
		Err       error
	}
	// Started says that the guest runs under ID. Otherwise Err says why not. With a Reason, the
	// start is tried again under every restart policy.
	Started struct {
		Container string
		ID        string
		At        time.Time
		Reason    string
		Err       error
	}
	// RunEnded says that the guest ended.
	RunEnded struct {
		Container string
		Exit      runtime.Exit
	}
	// Removed says that the object and the folders are removed. Otherwise Err says why not.
	Removed struct{ Err error }
)

// Apply changes the state by what happened at now.
func (s *Pod) Apply(what Input, now time.Time) { what.apply(s, now) }

func (e Updated) apply(s *Pod, now time.Time) {
	s.pod = e.Pod
	s.join(e.Pod)
	s.redefine(e.Pod)
	s.shortenGrace(now)
}

func (Vanished) apply(s *Pod, now time.Time) {
	s.vanished = true
	s.shortenGrace(now)
}

func (e Prepared) apply(s *Pod, now time.Time) {
	s.isolated = e.Isolated
	if e.Addresses.Known {
		s.addresses = e.Addresses
	}
	s.setup.End(e.Err, now)
	if e.Refused != nil {
		s.pass(refused, e.Refused.Reason, "Pod was rejected: "+e.Refused.Message)
	}
}

func (ClassChanged) apply(s *Pod, _ time.Time) { s.setup.hasten() }

func (AddressesLost) apply(s *Pod, _ time.Time) { s.addresses = podspec.Addresses{} }

func (e Outgrown) apply(s *Pod, _ time.Time) {
	s.notice.message = e.Message
	if s.notice.verdict == none {
		s.notice.verdict = evicted
	}
}

func (e Reclaimed) apply(s *Pod, now time.Time) {
	s.notice = notice{relieving, e.Message}
	if s.verdict == evicted {
		s.verdict = relieving
	}
	s.hurry(now.Add(evictionGrace))
}

func (e Removed) apply(s *Pod, now time.Time) { s.removal.End(e.Err, now) }

// pass sets the verdict of the pod.
func (s *Pod) pass(v verdict, reason, message string) {
	s.verdict, s.reason, s.message = v, reason, message
}

// shortenGrace moves the deadline to an earlier time if the pod's grace period ends then. It never
// moves the deadline to a later time.
func (s *Pod) shortenGrace(now time.Time) {
	var by time.Time
	switch {
	case s.vanished:
		by = now
	case s.pod.DeletionTimestamp != nil:
		grace := int64(corev1.DefaultTerminationGracePeriodSeconds)
		if g := s.pod.DeletionGracePeriodSeconds; g != nil {
			grace = max(0, *g)
		}
		by = now.Add(time.Duration(grace) * time.Second)
	default:
		return
	}
	if s.deadline.IsZero() || by.Before(s.deadline) {
		s.deadline = by
	}
}

// hurry moves the deadlines of the pod to the time by, if they are later.
func (s *Pod) hurry(by time.Time) {
	for _, at := range []*time.Time{&s.deadline, &s.closeBy} {
		if by.Before(*at) {
			*at = by
		}
	}
}
