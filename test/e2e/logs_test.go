package e2e

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/krustlet-go/krustlet-wasi/hack/testnode"
)

func testLogs(t *testing.T, s *suite) {
	ns := s.cluster.Namespace(t)
	s.create(t, ns, s.pod("hello", s.hello, "10", "1ms"))
	s.await(t, ns, "hello", func(p *corev1.Pod) error {
		if c := p.Status.ContainerStatuses; len(c) != 1 || c[0].RestartCount < 1 {
			return errors.New("not restarted")
		}
		return nil
	})
	var all strings.Builder
	for i := 1; i <= 10; i++ {
		fmt.Fprintf(&all, "hello from WebAssembly, line %d\n", i)
	}
	if got := s.cluster.Kubectl(t, "logs", "-n", ns, "hello", "--previous"); got != all.String() {
		t.Errorf("logs --previous:\n%s", got)
	}
	s.await(t, ns, "hello", func(p *corev1.Pod) error {
		if p.Status.ContainerStatuses[0].State.Waiting == nil {
			return errors.New("not in back-off")
		}
		return nil
	})
	s.checkPreviousBetweenRuns(t, ns, "hello")
	if got := s.cluster.Kubectl(t, "logs", "-n", ns, "hello", "--tail=2"); got != "hello from WebAssembly, line 9\nhello from WebAssembly, line 10\n" {
		t.Errorf("logs --tail=2:\n%s", got)
	}
	line := s.cluster.Kubectl(t, "logs", "-n", ns, "hello", "--timestamps", "--tail=1")
	stamp, text, _ := strings.Cut(line, " ")
	if _, err := time.Parse(time.RFC3339Nano, stamp); err != nil || text != "hello from WebAssembly, line 10\n" {
		t.Errorf("logs --timestamps: %q", line)
	}

	once := s.pod("once", s.hello, "1", "1ms")
	once.Spec.RestartPolicy = corev1.RestartPolicyNever
	s.create(t, ns, once)
	s.awaitPhase(t, ns, "once", corev1.PodSucceeded)
	if said := s.kubectlFails(t, "logs", "-n", ns, "once", "--previous"); !strings.Contains(said, `previous terminated container "main" in pod "once" not found`) {
		t.Errorf("logs --previous of a first run: %s", said)
	}

	waiting := s.pod("waiting", s.images.Host+"/nothing:v1")
	s.create(t, ns, waiting)
	s.await(t, ns, "waiting", func(p *corev1.Pod) error {
		if len(p.Status.ContainerStatuses) == 0 || p.Status.ContainerStatuses[0].State.Waiting.Reason == "ContainerCreating" {
			return errors.New("not waiting for its image")
		}
		return nil
	})
	if said := s.kubectlFails(t, "logs", "-n", ns, "waiting"); !strings.Contains(said, "is waiting to start") {
		t.Errorf("logs of a container that never ran: %s", said)
	}
}

// testLogsFollow: a client gets each line when it is written. The stream ends when the container
// ends.
func testLogsFollow(t *testing.T, s *suite) {
	ns := s.cluster.Namespace(t)
	pod := s.pod("follow", s.hello, "8", "250ms")
	pod.Spec.RestartPolicy = corev1.RestartPolicyNever
	s.create(t, ns, pod)
	s.await(t, ns, "follow", func(p *corev1.Pod) error {
		if p.Status.Phase == corev1.PodPending {
			return errors.New("pending")
		}
		return nil
	})
	ctx, cancel := context.WithTimeout(context.Background(), testnode.Patience)
	defer cancel()
	stream, err := s.client().CoreV1().Pods(ns).GetLogs("follow", &corev1.PodLogOptions{Follow: true}).Stream(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	lines := bufio.NewScanner(stream)
	var first, last time.Time
	n := 0
	for lines.Scan() {
		n++
		if want := fmt.Sprintf("hello from WebAssembly, line %d", n); lines.Text() != want {
			t.Errorf("line %q, want %q", lines.Text(), want)
		}
		if first.IsZero() {
			first = time.Now()
		}
		last = time.Now()
	}
	if err := lines.Err(); err != nil || n != 8 {
		t.Errorf("%d lines, %v", n, err)
	}
	if last.Sub(first) < 500*time.Millisecond {
		t.Errorf("all lines came within %v: they were not streamed", last.Sub(first))
	}
	end, err := s.client().CoreV1().Pods(ns).Get(ctx, "follow", metav1.GetOptions{})
	if err != nil || end.UID == "" {
		t.Error(err)
	}
}

// checkPreviousBetweenRuns compares the log and the previous log of a container that waits to run
// again. Both are the log of its last run, because the status shows that run as the last state.
func (s *suite) checkPreviousBetweenRuns(t *testing.T, ns, name string) {
	t.Helper()
	restarts := func() int32 {
		pod, err := s.get(ns, name)
		if err != nil || pod.Status.ContainerStatuses[0].State.Waiting == nil {
			return -1
		}
		return pod.Status.ContainerStatuses[0].RestartCount
	}
	testnode.Eventually(t, func() error {
		before := restarts()
		now := s.cluster.Kubectl(t, "logs", "-n", ns, name, "--timestamps")
		previous := s.cluster.Kubectl(t, "logs", "-n", ns, name, "--timestamps", "--previous")
		if before < 1 || restarts() != before {
			return errors.New("the container ran again meanwhile")
		}
		if now == "" || now != previous {
			t.Errorf("between two runs the log is\n%s\nand the previous log\n%s", now, previous)
		}
		return nil
	})
}
