package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/krustlet-go/krustlet-wasi/hack/testnode"
)

// TestClockAhead: on a machine that has been up for a month, pods run, are probed, and continue
// after a restart of the agent. For that the agent and its workers run in a time namespace.
func TestClockAhead(t *testing.T) {
	t.Parallel()
	s := newSuite(t, "")
	ns := s.cluster.Namespace(t)
	s.node.Stop(t)
	s.node.Binary = ahead(t, 30*24*60*60)
	s.node.Start(t)
	s.node.WaitReady(t)
	pod := s.pod("probed", s.kitchen, "sleep", "1h")
	pod.Spec.Containers[0].ReadinessProbe = &corev1.Probe{
		ProbeHandler: corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{"kitchen", "exit", "0"}}}, PeriodSeconds: 1,
	}
	s.create(t, ns, pod)
	fails := s.create(t, ns, s.pod("fails", s.kitchen, "exit", "3"))
	ready := func() *corev1.Pod {
		return s.await(t, ns, "probed", func(p *corev1.Pod) error {
			for _, c := range p.Status.Conditions {
				if c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue {
					return nil
				}
			}
			return fmt.Errorf("it is not ready")
		})
	}
	before := ready().Status.ContainerStatuses[0]
	s.await(t, ns, "fails", func(p *corev1.Pod) error { // at once, and again after a back-off of 10 seconds
		if c := p.Status.ContainerStatuses; len(c) != 1 || c[0].RestartCount < 2 {
			return fmt.Errorf("it was not started three times")
		}
		return nil
	})
	s.delete(t, fails)
	s.awaitGone(t, fails)

	s.node.Stop(t)
	s.node.Start(t)
	s.node.WaitReady(t)
	if after := ready().Status.ContainerStatuses[0]; after.ContainerID != before.ContainerID || after.RestartCount != 0 {
		t.Errorf("the container was %+v, and is %+v", before, after)
	}
}

// ahead is a script that starts the agent with clocks ahead of the machine's.
func ahead(t *testing.T, seconds int) string {
	t.Helper()
	user := ""
	if os.Geteuid() != 0 {
		user = "--map-root-user "
	}
	script := fmt.Sprintf("#!/bin/sh\nexec unshare %s--time --monotonic %d --boottime %d %s \"$@\"\n", user, seconds, seconds, testnode.Binary(t))
	path := filepath.Join(t.TempDir(), "krustlet-wasi")
	if err := os.WriteFile(path, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}
