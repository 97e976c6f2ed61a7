package e2e

import (
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/krustlet-go/krustlet-wasi/hack/testcluster"
	"github.com/krustlet-go/krustlet-wasi/hack/testnode"
)

// TestNonsenseOfTheAPIServer: while the API server gives wrong answers of any kind, pods continue,
// and the agent does not send too many requests. When the API server works again, the node is
// Ready, and pods start and end.
// docs/security.md: "Pods run on meanwhile"
func TestNonsenseOfTheAPIServer(t *testing.T) {
	t.Parallel()
	cluster := testcluster.Start(t)
	gateway := cluster.Gateway(t)
	s := newSuite(t, gateway.Kubeconfig(t, cluster))
	ns := cluster.Namespace(t)
	stays := s.create(t, ns, s.pod("stays", s.hello, "0", "100ms"))
	goes := s.create(t, ns, s.pod("goes", s.tiny))
	for _, name := range []string{"stays", "goes"} {
		s.awaitPhase(t, ns, name, corev1.PodRunning)
	}
	all := testcluster.Faults()
	for round, name := range slices.Sorted(maps.Keys(all)) {
		if slices.Contains(testcluster.EmptyLists(), name) {
			continue // a valid empty list from the API server may end pods
		}
		gateway.Break(all[name])
		if round == 0 {
			s.delete(t, goes)
			s.create(t, ns, s.pod("comes", s.tiny))
		}
		asked := gateway.Served()
		<-time.NewTimer(1500 * time.Millisecond).C // the time that the fault lasts
		if n := gateway.Served() - asked; n > 300 {
			t.Errorf("%s: it asked %d times in 1.5 s", name, n)
		}
	}
	gateway.Mend()
	mended := time.Now()
	s.awaitPhase(t, ns, "comes", corev1.PodRunning)
	s.awaitGone(t, goes)
	pod, err := s.get(ns, "stays")
	if err != nil || pod.UID != stays.UID || pod.Status.ContainerStatuses[0].RestartCount != 0 || pod.Status.ContainerStatuses[0].State.Running == nil {
		t.Errorf("the pod that ran on: %+v %v", pod.Status, err)
	}
	testnode.Eventually(t, func() error {
		lease, err := s.client().CoordinationV1().Leases(corev1.NamespaceNodeLease).Get(t.Context(), s.node.Name, metav1.GetOptions{})
		if err == nil && (lease.Spec.RenewTime == nil || lease.Spec.RenewTime.Time.Before(mended)) {
			err = errors.New("the lease was not renewed since")
		}
		return err
	})
	s.node.WaitReady(t)
}
