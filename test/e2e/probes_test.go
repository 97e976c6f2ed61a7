package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/krustlet-go/krustlet-wasi/hack/testnode"
)

// TestProbes: probes, lifecycle hooks, deadlines and sidecars.
func TestProbes(t *testing.T) {
	s := newSuite(t, "")
	for name, test := range map[string]func(*testing.T, *suite){
		"Exec":           testExecProbes,
		"Liveness":       testLiveness,
		"ExecTimeout":    testExecTimeout,
		"HTTP":           testHTTPProbes,
		"Hooks":          testHooks,
		"FailedHook":     testFailedHook,
		"ActiveDeadline": testActiveDeadline,
		"ReadinessGates": testReadinessGates,
		"Sidecar":        testSidecar,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, s)
		})
	}
}

func execHandler(argv ...string) *corev1.ExecAction { return &corev1.ExecAction{Command: argv} }

func execProbe(argv ...string) *corev1.Probe {
	return &corev1.Probe{ProbeHandler: corev1.ProbeHandler{Exec: execHandler(argv...)}, PeriodSeconds: 1, TimeoutSeconds: 10}
}

func ready(want bool) func(*corev1.Pod) error {
	return func(p *corev1.Pod) error {
		if len(p.Status.ContainerStatuses) == 0 {
			return errors.New("no container status")
		}
		for _, c := range p.Status.Conditions {
			if c.Type == corev1.PodReady && (c.Status == corev1.ConditionTrue) == want && p.Status.ContainerStatuses[0].Ready == want {
				return nil
			}
		}
		return fmt.Errorf("Ready is not %v", want)
	}
}

func restarted(p *corev1.Pod) error {
	if c := p.Status.ContainerStatuses; len(c) != 1 || c[0].RestartCount < 1 {
		return errors.New("not restarted")
	}
	return nil
}

// testExecProbes: a command in the container sees its environment and files. Its results make the
// pod started, ready, or not ready.
func testExecProbes(t *testing.T, s *suite) {
	ns := s.cluster.Namespace(t)
	pod := s.pod("exec", s.kitchen, "sleep")
	c := &pod.Spec.Containers[0]
	c.Env = []corev1.EnvVar{{Name: "MARK", Value: "/tmp/up"}}
	c.Lifecycle = &corev1.Lifecycle{PostStart: &corev1.LifecycleHandler{Exec: execHandler("kitchen", "write", "/tmp/up", "yes")}}
	c.StartupProbe = execProbe("kitchen", "cat", "$(MARK)")
	c.ReadinessProbe = execProbe("kitchen", "cat", "/tmp/up")
	s.create(t, ns, pod)
	s.await(t, ns, "exec", ready(true))

	pod = s.pod("not-ready", s.kitchen, "sleep")
	pod.Spec.Containers[0].ReadinessProbe = execProbe("kitchen", "cat", "/tmp/none")
	pod = s.create(t, ns, pod)
	s.awaitPhase(t, ns, "not-ready", corev1.PodRunning)
	s.awaitEvents(t, pod, "Unhealthy Readiness probe failed: open /tmp/none: ")
	if err := ready(false)(s.await(t, ns, "not-ready", ready(false))); err != nil {
		t.Error(err)
	}
}

func testLiveness(t *testing.T, s *suite) {
	ns := s.cluster.Namespace(t)
	pod := s.pod("liveness", s.kitchen, "sleep")
	pod.Spec.Containers[0].LivenessProbe = execProbe("kitchen", "cat", "/tmp/none")
	pod.Spec.Containers[0].LivenessProbe.FailureThreshold = 2
	pod = s.create(t, ns, pod)
	s.await(t, ns, "liveness", restarted)
	s.awaitEvents(t, pod, "Unhealthy Liveness probe failed: open /tmp/none", "Killing Container main failed liveness probe, will be restarted")

	pod = s.pod("startup", s.kitchen, "sleep")
	pod.Spec.RestartPolicy = corev1.RestartPolicyNever
	pod.Spec.Containers[0].StartupProbe = execProbe("kitchen", "exit", "3")
	pod = s.create(t, ns, pod)
	if now := s.awaitPhase(t, ns, "startup", corev1.PodFailed); now.Status.ContainerStatuses[0].State.Terminated.ExitCode != 137 {
		t.Errorf("ended as %+v", now.Status.ContainerStatuses[0].State)
	}
	s.awaitEvents(t, pod, "Killing Container main failed startup probe")
}

// testExecTimeout: a command that takes too long is killed, and the probe has failed.
func testExecTimeout(t *testing.T, s *suite) {
	ns := s.cluster.Namespace(t)
	pod := s.pod("slow", s.kitchen, "sleep")
	pod.Spec.Containers[0].LivenessProbe = execProbe("kitchen", "spin")
	pod.Spec.Containers[0].LivenessProbe.TimeoutSeconds, pod.Spec.Containers[0].LivenessProbe.FailureThreshold = 1, 1
	pod = s.create(t, ns, pod)
	s.awaitEvents(t, pod, `Unhealthy Liveness probe failed: command timed out: "kitchen spin" timed out after 1s`, "Killing Container main failed liveness probe")
	s.await(t, ns, "slow", restarted)
}

// served is a pod whose container serves HTTP on this port.
func (s *suite) served(t *testing.T, name string, port int32) *corev1.Pod {
	t.Helper()
	pod := s.pod(name, s.images.PushGuest(t, "serve"))
	pod.Spec.Containers[0].Ports = []corev1.ContainerPort{{Name: "web", ContainerPort: port}}
	return pod
}

func testHTTPProbes(t *testing.T, s *suite) {
	ns := s.cluster.Namespace(t)
	pod := s.served(t, "http", 18080)
	c := &pod.Spec.Containers[0]
	get := func(path string) *corev1.Probe {
		return &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: path, Port: intstr.FromString("web")}}, PeriodSeconds: 1, TimeoutSeconds: 5}
	}
	c.ReadinessProbe = get("/ready")
	c.LivenessProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromInt32(18080)}}, PeriodSeconds: 1, TimeoutSeconds: 5, FailureThreshold: 1}
	c.StartupProbe = get("/up")
	pod = s.create(t, ns, pod)
	now := s.await(t, ns, "http", ready(true))
	response, err := web.Get(fmt.Sprintf("http://%s:18080/x", now.Status.PodIP))
	if err != nil {
		t.Fatal(err)
	}
	if err := response.Body.Close(); err != nil || response.StatusCode != http.StatusOK {
		t.Errorf("%v %v", response.StatusCode, err)
	}

	nobody := s.pod("nobody", s.tiny)
	nobody.Spec.Containers[0].LivenessProbe = get("/x")
	nobody.Spec.Containers[0].LivenessProbe.HTTPGet.Port = intstr.FromInt32(18081)
	nobody = s.create(t, ns, nobody)
	now = s.await(t, ns, "nobody", restarted)
	s.awaitEvents(t, nobody, fmt.Sprintf(`Unhealthy Liveness probe failed: Get "http://%s:18081/x": dial tcp`, now.Status.PodIP))
	s.delete(t, pod)
	s.awaitGone(t, pod)
}

// testHooks: preStop runs before the guest is stopped. It is part of the grace period.
func testHooks(t *testing.T, s *suite) {
	ns := s.cluster.Namespace(t)
	grace := int64(20)
	pod := s.pod("prestop", s.kitchen, "sleep")
	pod.Spec.TerminationGracePeriodSeconds = &grace
	pod.Spec.Containers[0].Lifecycle = &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{Sleep: &corev1.SleepAction{Seconds: 3}}}
	pod = s.create(t, ns, pod)
	s.awaitPhase(t, ns, "prestop", corev1.PodRunning)

	fails := s.pod("fails", s.kitchen, "sleep")
	fails.Spec.TerminationGracePeriodSeconds = &grace
	fails.Spec.Containers[0].Lifecycle = &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{Exec: execHandler("kitchen", "exit", "1")}}
	fails = s.create(t, ns, fails)
	s.awaitPhase(t, ns, "fails", corev1.PodRunning)
	s.delete(t, fails)
	s.awaitEvents(t, fails, "FailedPreStopHook PreStopHook failed")
	s.cluster.Kubectl(t, "delete", "pod", "-n", ns, "fails", "--grace-period=1")
	s.awaitGone(t, fails)

	began := time.Now()
	s.cluster.Kubectl(t, "delete", "pod", "-n", ns, "prestop", "--grace-period=4")
	s.awaitGone(t, pod)
	if took := time.Since(began); took < 3*time.Second || took > 15*time.Second {
		t.Errorf("gone after %v, with a preStop hook of 3 s and a grace period of 4 s", took)
	}
}

func testFailedHook(t *testing.T, s *suite) {
	ns := s.cluster.Namespace(t)
	pod := s.pod("poststart", s.kitchen, "sleep")
	pod.Spec.Containers[0].Lifecycle = &corev1.Lifecycle{PostStart: &corev1.LifecycleHandler{Exec: execHandler("kitchen", "cat", "/none")}}
	pod = s.create(t, ns, pod)
	s.awaitEvents(t, pod, "FailedPostStartHook PostStartHook failed", "Killing FailedPostStartHook")
	s.await(t, ns, "poststart", func(p *corev1.Pod) error {
		if c := p.Status.ContainerStatuses; len(c) != 1 || c[0].State.Waiting == nil || c[0].State.Waiting.Reason != "PostStartHookError" {
			return errors.New("not PostStartHookError")
		}
		return nil
	})
}

func testActiveDeadline(t *testing.T, s *suite) {
	ns := s.cluster.Namespace(t)
	pod := s.create(t, ns, s.pod("deadline", s.kitchen, "sleep"))
	s.awaitPhase(t, ns, "deadline", corev1.PodRunning)
	s.cluster.Kubectl(t, "patch", "pod", "-n", ns, "deadline", "-p", `{"spec":{"activeDeadlineSeconds":1}}`)
	now := s.awaitPhase(t, ns, "deadline", corev1.PodFailed)
	if now.Status.Reason != "DeadlineExceeded" || now.Status.Message != "Pod was active on the node longer than the specified deadline" {
		t.Errorf("reason %q, message %q", now.Status.Reason, now.Status.Message)
	}
	if end := now.Status.ContainerStatuses[0].State.Terminated; end == nil || end.ExitCode != 137 {
		t.Errorf("ended as %+v", now.Status.ContainerStatuses[0].State)
	}
	s.awaitEvents(t, pod, "DeadlineExceeded Pod was active", "Killing Stopping container main")
}

func testReadinessGates(t *testing.T, s *suite) {
	ns := s.cluster.Namespace(t)
	pod := s.pod("gates", s.tiny)
	pod.Spec.ReadinessGates = []corev1.PodReadinessGate{{ConditionType: "x.test/go"}}
	s.create(t, ns, pod)
	s.await(t, ns, "gates", func(p *corev1.Pod) error {
		for _, c := range p.Status.Conditions {
			if c.Type == corev1.PodReady && c.Reason == "ReadinessGatesNotReady" {
				return nil
			}
		}
		return errors.New("not held back by its gate")
	})
	patch := []byte(`{"status":{"conditions":[{"type":"x.test/go","status":"True"}]}}`)
	if _, err := s.client().CoreV1().Pods(ns).Patch(context.Background(), "gates", types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status"); err != nil {
		t.Fatal(err)
	}
	s.await(t, ns, "gates", ready(true))
}

// testSidecar: a sidecar is up before later containers start. It is restarted when it ends, and
// ends after the pod's work.
func testSidecar(t *testing.T, s *suite) {
	ns := s.cluster.Namespace(t)
	always := corev1.ContainerRestartPolicyAlways
	pod := s.pod("sidecar", s.kitchen, "sleep", "3s")
	pod.Spec.RestartPolicy = corev1.RestartPolicyNever
	pod.Spec.InitContainers = []corev1.Container{
		{Name: "side", Image: s.kitchen, Args: []string{"sleep", "1s"}, RestartPolicy: &always, StartupProbe: execProbe("kitchen", "echo", "up")},
		{Name: "init", Image: s.kitchen, Args: []string{"echo", "init"}},
	}
	s.create(t, ns, pod)
	now := s.awaitPhase(t, ns, "sidecar", corev1.PodSucceeded)
	side, init := now.Status.InitContainerStatuses[0], now.Status.InitContainerStatuses[1]
	if side.RestartCount < 1 || side.State.Terminated == nil {
		t.Errorf("sidecar: %+v", side)
	}
	if init.State.Terminated == nil || init.State.Terminated.ExitCode != 0 {
		t.Errorf("init container: %+v", init)
	}
}

// TestAgentRestartKeepsReadiness: a pod stays ready while its agent is killed and started again.
// The next agent probes it.
func TestAgentRestartKeepsReadiness(t *testing.T) {
	t.Parallel()
	s := newSuite(t, "")
	ns := s.cluster.Namespace(t)
	pod := s.served(t, "ready", 18080)
	pod.Spec.Containers[0].ReadinessProbe = &corev1.Probe{
		ProbeHandler:  corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/", Port: intstr.FromString("web")}},
		PeriodSeconds: 1, TimeoutSeconds: 5,
	}
	s.create(t, ns, pod)
	before := s.await(t, ns, "ready", ready(true))
	since := transition(before)
	s.node.Kill(t)
	s.node.Start(t)
	s.node.WaitReady(t)
	response, err := web.Get(fmt.Sprintf("http://%s:18080/quit", before.Status.PodIP))
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if now, err := s.get(ns, "ready"); err != nil || now.Status.ContainerStatuses[0].RestartCount == 0 && !transition(now).Equal(since) {
		t.Errorf("not ready for a while: %v %+v", err, now.Status)
	}
	testnode.Eventually(t, func() error { // the guest has ended after /quit, and is started and ready again
		now, err := s.get(ns, "ready")
		if err != nil {
			return err
		}
		return errors.Join(restarted(now), ready(true)(now))
	})
}

func transition(p *corev1.Pod) time.Time {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.LastTransitionTime.Time
		}
	}
	return time.Time{}
}
