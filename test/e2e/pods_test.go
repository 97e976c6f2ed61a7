package e2e

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/krustlet-go/krustlet-wasi/hack/testnode"
)

// TestPods runs the tests of pods in parallel on one node.
func TestPods(t *testing.T) {
	s := newSuite(t, "")
	for name, test := range map[string]func(*testing.T, *suite){
		"Environment":     testEnvironment,
		"RestartPolicies": testRestartPolicies,
		"CrashLoop":       testCrashLoop,
		"SetImage":        testSetImage,
		"Ephemeral":       testEphemeral,
		"InitContainers":  testInitContainers,
		"Deletion":        testDeletion,
		"ForceDeletion":   testForceDeletion,
		"Deployment":      testDeployment,
		"Jobs":            testJobs,
		"ImageErrors":     testImageErrors,
		"BrokenModule":    testBrokenModule,
		"Unsupported":     testUnsupported,
		"Logs":            testLogs,
		"LogsFollow":      testLogsFollow,
		"Events":          testEvents,
		"MemoryLimit":     testMemoryLimit,
		"Files":           testFiles,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, s)
		})
	}
}

// finalLog waits for the pod's end and returns its log.
func (s *suite) finalLog(t *testing.T, namespace, name string, phase corev1.PodPhase) string {
	t.Helper()
	s.awaitPhase(t, namespace, name, phase)
	return s.cluster.Kubectl(t, "logs", "-n", namespace, name)
}

func testEnvironment(t *testing.T, s *suite) {
	ns := s.cluster.Namespace(t)
	pod := s.pod("env", s.kitchen, "env")
	pod.Spec.RestartPolicy = corev1.RestartPolicyNever
	pod.Spec.Containers[0].Env = []corev1.EnvVar{{Name: "WHO", Value: "world"}, {Name: "GREETING", Value: "hello $(WHO) $$(WHO) $(NOBODY)"}}
	s.create(t, ns, pod)
	log := s.finalLog(t, ns, "env", corev1.PodSucceeded)
	for _, want := range []string{"GREETING=hello world $(WHO) $(NOBODY)\n", "HOSTNAME=env\n"} {
		if !strings.Contains(log, want) {
			t.Errorf("environment lacks %q:\n%s", want, log)
		}
	}

	pod = s.pod("argv", s.kitchen, "args", "$(WHO)", "b")
	pod.Spec.RestartPolicy = corev1.RestartPolicyNever
	pod.Spec.Containers[0].Env = []corev1.EnvVar{{Name: "WHO", Value: "world"}}
	s.create(t, ns, pod)
	if log := s.finalLog(t, ns, "argv", corev1.PodSucceeded); log != "kitchen\nargs\nworld\nb\n" {
		t.Errorf("argv without command:\n%s", log)
	}
	pod = s.pod("command", s.kitchen, "b")
	pod.Spec.RestartPolicy = corev1.RestartPolicyNever
	pod.Spec.Containers[0].Command = []string{"/bin/tool", "args"}
	s.create(t, ns, pod)
	if log := s.finalLog(t, ns, "command", corev1.PodSucceeded); log != "/bin/tool\nargs\nb\n" {
		t.Errorf("argv with command:\n%s", log)
	}
}

func testRestartPolicies(t *testing.T, s *suite) {
	ns := s.cluster.Namespace(t)
	make := func(name string, policy corev1.RestartPolicy, code string) {
		pod := s.pod(name, s.kitchen, "exit", code)
		pod.Spec.RestartPolicy = policy
		s.create(t, ns, pod)
	}
	make("never-0", corev1.RestartPolicyNever, "0")
	make("never-3", corev1.RestartPolicyNever, "3")
	make("onfailure-0", corev1.RestartPolicyOnFailure, "0")
	make("onfailure-3", corev1.RestartPolicyOnFailure, "3")
	make("always-0", corev1.RestartPolicyAlways, "0")

	pod := s.awaitPhase(t, ns, "never-0", corev1.PodSucceeded)
	if end := pod.Status.ContainerStatuses[0].State.Terminated; end == nil || end.Reason != "Completed" || end.Message != "Module run completed" || end.ExitCode != 0 {
		t.Errorf("never-0 ended as %+v", end)
	}
	pod = s.awaitPhase(t, ns, "never-3", corev1.PodFailed)
	if end := pod.Status.ContainerStatuses[0].State.Terminated; end == nil || end.Reason != "Error" || end.ExitCode != 3 || pod.Status.ContainerStatuses[0].RestartCount != 0 {
		t.Errorf("never-3 ended as %+v", pod.Status.ContainerStatuses[0])
	}
	s.awaitPhase(t, ns, "onfailure-0", corev1.PodSucceeded)
	for _, name := range []string{"onfailure-3", "always-0"} {
		s.await(t, ns, name, func(p *corev1.Pod) error {
			if c := p.Status.ContainerStatuses; len(c) != 1 || c[0].RestartCount < 1 || p.Status.Phase != corev1.PodRunning {
				return errors.New("not restarted")
			}
			return nil
		})
	}
}

// testCrashLoop: the first restart comes at once, the second after a back-off of 10 s.
func testCrashLoop(t *testing.T, s *suite) {
	ns := s.cluster.Namespace(t)
	s.create(t, ns, s.pod("crash", s.kitchen, "exit", "7"))
	pod := s.await(t, ns, "crash", func(p *corev1.Pod) error {
		c := p.Status.ContainerStatuses
		if len(c) != 1 || c[0].State.Waiting == nil || c[0].State.Waiting.Reason != "CrashLoopBackOff" {
			return errors.New("not in CrashLoopBackOff")
		}
		return nil
	})
	c := pod.Status.ContainerStatuses[0]
	if want := fmt.Sprintf("back-off 10s restarting failed container=main pod=crash_%s(%s)", ns, pod.UID); c.State.Waiting.Message != want {
		t.Errorf("message %q, want %q", c.State.Waiting.Message, want)
	}
	if c.RestartCount != 1 || c.LastTerminationState.Terminated == nil || c.LastTerminationState.Terminated.ExitCode != 7 {
		t.Errorf("status %+v", c)
	}
	first := c.LastTerminationState.Terminated.FinishedAt
	pod = s.await(t, ns, "crash", func(p *corev1.Pod) error {
		if p.Status.ContainerStatuses[0].RestartCount != 2 {
			return errors.New("not restarted a second time")
		}
		return nil
	})
	c = pod.Status.ContainerStatuses[0]
	if end := c.LastTerminationState.Terminated; end != nil && c.State.Waiting != nil {
		if waited := end.StartedAt.Sub(first.Time); waited < 9*time.Second {
			t.Errorf("restarted after %v, want 10 s", waited)
		}
	}
	s.awaitEvents(t, pod, fmt.Sprintf("BackOff Back-off restarting failed container main in pod crash_%s(%s)", ns, pod.UID))
}

// testSetImage: a running pod gets another image.
func testSetImage(t *testing.T, s *suite) {
	ns := s.cluster.Namespace(t)
	pod := s.create(t, ns, s.pod("changes", s.tiny))
	s.awaitPhase(t, ns, "changes", corev1.PodRunning)
	s.cluster.Kubectl(t, "set", "image", "-n", ns, "pod/changes", "main="+s.hello)
	s.await(t, ns, "changes", func(p *corev1.Pod) error {
		c := p.Status.ContainerStatuses[0]
		if c.RestartCount < 1 || c.Image != s.hello || c.LastTerminationState.Terminated == nil {
			return fmt.Errorf("the container is %+v", c)
		}
		return nil
	})
	s.awaitEvents(t, pod, "Killing Container main definition changed, will be restarted")
}

// testEphemeral: kubectl debug adds an ephemeral container to a running pod.
func testEphemeral(t *testing.T, s *suite) {
	ns := s.cluster.Namespace(t)
	debugged := s.pod("debugged", s.tiny)
	debugged.Spec.Volumes = []corev1.Volume{{Name: "unused", VolumeSource: corev1.VolumeSource{DownwardAPI: &corev1.DownwardAPIVolumeSource{
		Items: []corev1.DownwardAPIVolumeFile{{Path: "name", FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.name"}}},
	}}}}
	s.create(t, ns, debugged)
	s.awaitPhase(t, ns, "debugged", corev1.PodRunning)
	s.cluster.Kubectl(t, "debug", "-n", ns, "debugged", "--image="+s.kitchen, "-c", "debugger", "--", "kitchen", "args", "x")
	pod := s.await(t, ns, "debugged", func(p *corev1.Pod) error {
		if c := p.Status.EphemeralContainerStatuses; len(c) != 1 || c[0].State.Terminated == nil {
			return fmt.Errorf("ephemeral containers: %+v", c)
		}
		return nil
	})
	if end := pod.Status.EphemeralContainerStatuses[0].State.Terminated; end.ExitCode != 0 || pod.Status.Phase != corev1.PodRunning {
		t.Errorf("phase %s, and it ended as %+v", pod.Status.Phase, end)
	}
	if log := s.cluster.Kubectl(t, "logs", "-n", ns, "debugged", "-c", "debugger"); log != "kitchen\nargs\nx\n" {
		t.Errorf("its log is %q", log)
	}
	pod.Spec.EphemeralContainers = append(pod.Spec.EphemeralContainers, corev1.EphemeralContainer{EphemeralContainerCommon: corev1.EphemeralContainerCommon{
		Name: "reader", Image: s.kitchen, Args: []string{"cat", "/etc/pod/name"},
		VolumeMounts: []corev1.VolumeMount{{Name: "unused", MountPath: "/etc/pod"}},
	}})
	if _, err := s.client().CoreV1().Pods(ns).UpdateEphemeralContainers(context.Background(), pod.Name, pod, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	s.await(t, ns, "debugged", func(p *corev1.Pod) error {
		if c := p.Status.EphemeralContainerStatuses; len(c) != 2 || c[1].State.Terminated == nil || c[1].State.Terminated.ExitCode != 0 {
			return fmt.Errorf("ephemeral containers: %+v", c)
		}
		return nil
	})
	if log := s.cluster.Kubectl(t, "logs", "-n", ns, "debugged", "-c", "reader"); log != "debugged" {
		t.Errorf("the volume that nothing else mounts: %q", log)
	}
}

func testInitContainers(t *testing.T, s *suite) {
	ns := s.cluster.Namespace(t)
	pod := s.pod("init", s.kitchen, "echo", "main")
	pod.Spec.RestartPolicy = corev1.RestartPolicyNever
	pod.Spec.InitContainers = []corev1.Container{{Name: "first", Image: s.kitchen, Args: []string{"echo", "init"}}}
	s.create(t, ns, pod)
	pod = s.awaitPhase(t, ns, "init", corev1.PodSucceeded)
	init, app := pod.Status.InitContainerStatuses[0].State.Terminated, pod.Status.ContainerStatuses[0].State.Terminated
	if init == nil || app == nil || app.StartedAt.Before(&init.FinishedAt) {
		t.Errorf("the container did not wait for its init container: %+v %+v", init, app)
	}
	pod = s.pod("init-fails", s.kitchen, "echo", "main")
	pod.Spec.RestartPolicy = corev1.RestartPolicyNever
	pod.Spec.InitContainers = []corev1.Container{{Name: "first", Image: s.kitchen, Args: []string{"exit", "1"}}}
	s.create(t, ns, pod)
	pod = s.awaitPhase(t, ns, "init-fails", corev1.PodFailed)
	if pod.Status.Reason != "Init container first failed" {
		t.Errorf("reason %q", pod.Status.Reason)
	}
}

// testDeletion: a guest that spins and a guest that sleeps end when their pods are deleted, and the
// pods are removed.
func testDeletion(t *testing.T, s *suite) {
	ns := s.cluster.Namespace(t)
	for _, what := range []string{"spin", "sleep"} {
		pod := s.create(t, ns, s.pod(what, s.kitchen, what))
		s.awaitPhase(t, ns, what, corev1.PodRunning)
		began := time.Now()
		s.delete(t, pod)
		s.awaitGone(t, pod)
		if took := time.Since(began); took > 15*time.Second {
			t.Errorf("%s: gone after %v with a grace period of 1 s", what, took)
		}
		s.awaitEvents(t, pod, "Killing Stopping container main")
	}
}

func testForceDeletion(t *testing.T, s *suite) {
	ns := s.cluster.Namespace(t)
	pod := s.create(t, ns, s.pod("force", s.kitchen, "sleep"))
	s.awaitPhase(t, ns, "force", corev1.PodRunning)
	s.cluster.Kubectl(t, "delete", "pod", "-n", ns, "force", "--grace-period=0", "--force")
	s.awaitGone(t, pod)
	// A new pod with the same name is another pod, and runs.
	s.create(t, ns, s.pod("force", s.tiny))
	s.awaitPhase(t, ns, "force", corev1.PodRunning)
}

func testDeployment(t *testing.T, s *suite) {
	ns := s.cluster.Namespace(t)
	labels := map[string]string{"app": "scaled"}
	zero := int32(0)
	deployments := s.client().AppsV1().Deployments(ns)
	_, err := deployments.Create(context.Background(), &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "scaled"},
		Spec: appsv1.DeploymentSpec{
			Replicas: &zero,
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: s.podSpec(s.tiny)},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []int32{20, 0} {
		s.cluster.Kubectl(t, "scale", "deployment", "-n", ns, "scaled", fmt.Sprintf("--replicas=%d", want))
		testnode.Eventually(t, func() error {
			d, err := deployments.Get(context.Background(), "scaled", metav1.GetOptions{})
			if err != nil {
				return err
			}
			if d.Status.ObservedGeneration < d.Generation || d.Status.AvailableReplicas != want || d.Status.Replicas != want {
				return fmt.Errorf("%d of %d replicas available", d.Status.AvailableReplicas, want)
			}
			return nil
		})
	}
	testnode.Eventually(t, func() error {
		pods, err := s.client().CoreV1().Pods(ns).List(context.Background(), metav1.ListOptions{})
		if err != nil || len(pods.Items) > 0 {
			return fmt.Errorf("%d pods are left: %w", len(pods.Items), err)
		}
		return nil
	})
}

func testJobs(t *testing.T, s *suite) {
	ns := s.cluster.Namespace(t)
	limit := int32(1)
	jobs := s.client().BatchV1().Jobs(ns)
	for name, code := range map[string]string{"completes": "0", "fails": "1"} {
		spec := s.podSpec(s.kitchen, "exit", code)
		spec.RestartPolicy = corev1.RestartPolicyNever
		_, err := jobs.Create(context.Background(), &batchv1.Job{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			Spec:       batchv1.JobSpec{BackoffLimit: &limit, Template: corev1.PodTemplateSpec{Spec: spec}},
		}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]batchv1.JobConditionType{"completes": batchv1.JobComplete, "fails": batchv1.JobFailed} {
		testnode.Eventually(t, func() error {
			job, err := jobs.Get(context.Background(), name, metav1.GetOptions{})
			if err != nil {
				return err
			}
			for _, c := range job.Status.Conditions {
				if c.Type == want && c.Status == corev1.ConditionTrue {
					return nil
				}
			}
			return fmt.Errorf("job %s is not %s: %+v", name, want, job.Status)
		})
	}
}

func testBrokenModule(t *testing.T, s *suite) {
	ns := s.cluster.Namespace(t)
	broken := s.images.Push(t, "broken:v1", []byte("\x00asm\x01\x00\x00\x00\xff\xff"))
	pod := s.pod("broken", broken)
	s.create(t, ns, pod)
	s.await(t, ns, "broken", func(p *corev1.Pod) error {
		if c := p.Status.ContainerStatuses; len(c) != 1 || c[0].State.Waiting == nil || c[0].State.Waiting.Reason != "RunContainerError" {
			return errors.New("not RunContainerError")
		}
		return nil
	})
	pod = s.pod("broken-never", broken)
	pod.Spec.RestartPolicy = corev1.RestartPolicyNever
	s.create(t, ns, pod)
	pod = s.awaitPhase(t, ns, "broken-never", corev1.PodFailed)
	if end := pod.Status.ContainerStatuses[0].State.Terminated; end == nil || end.ExitCode != 128 || end.Message == "" {
		t.Errorf("ended as %+v", end)
	}
}

// testUnsupported: if the node does not support a part of a pod, or the part is missing, the pod
// says so and does not run without it.
func testUnsupported(t *testing.T, s *suite) {
	ns := s.cluster.Namespace(t)
	pod := s.pod("volume", s.tiny)
	pod.Spec.Volumes = []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{NFS: &corev1.NFSVolumeSource{Server: "nfs.test", Path: "/"}}}}
	pod.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "data", MountPath: "/data"}}
	pod = s.create(t, ns, pod)
	s.awaitEvents(t, pod, `FailedMount MountVolume.SetUp failed for volume "data" : `)
	s.await(t, ns, "volume", func(p *corev1.Pod) error {
		if c := p.Status.ContainerStatuses; len(c) != 1 || c[0].State.Waiting == nil || c[0].State.Waiting.Reason != "ContainerCreating" {
			return errors.New("not ContainerCreating")
		}
		return nil
	})
	s.delete(t, pod)
	s.awaitGone(t, pod)

	pod = s.pod("config", s.tiny)
	pod.Spec.Containers[0].EnvFrom = []corev1.EnvFromSource{{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "x"}}}}
	s.create(t, ns, pod)
	s.await(t, ns, "config", func(p *corev1.Pod) error {
		if c := p.Status.ContainerStatuses; len(c) != 1 || c[0].State.Waiting == nil || c[0].State.Waiting.Reason != "CreateContainerConfigError" {
			return errors.New("not CreateContainerConfigError")
		}
		return nil
	})
}

func testEvents(t *testing.T, s *suite) {
	ns := s.cluster.Namespace(t)
	image := s.images.Push(t, "fresh:v1", tinyModule(t))
	pod := s.create(t, ns, s.pod("events", image))
	s.awaitPhase(t, ns, "events", corev1.PodRunning)
	s.awaitEvents(t, pod,
		fmt.Sprintf("Pulling Pulling image %q", image),
		fmt.Sprintf("Pulled Successfully pulled image %q in ", image),
		"Created Container created",
		"Started Container started")
	pod = s.create(t, ns, s.pod("again", image))
	s.awaitEvents(t, pod, fmt.Sprintf("Pulled Container image %q already present on machine and can be accessed by the pod", image))
}

func testMemoryLimit(t *testing.T, s *suite) {
	ns := s.cluster.Namespace(t)
	pod := s.pod("oom", s.kitchen, "alloc", "200")
	pod.Spec.RestartPolicy = corev1.RestartPolicyNever
	pod.Spec.Containers[0].Resources.Limits = corev1.ResourceList{corev1.ResourceMemory: resourceQuantity("32Mi")}
	s.create(t, ns, pod)
	pod = s.awaitPhase(t, ns, "oom", corev1.PodFailed)
	if end := pod.Status.ContainerStatuses[0].State.Terminated; end == nil || end.Reason != "OOMKilled" || end.ExitCode != 137 {
		t.Errorf("ended as %+v", end)
	}
}

// testFiles: a container has its own root, which is writable and new at every start.
func testFiles(t *testing.T, s *suite) {
	ns := s.cluster.Namespace(t)
	pod := s.pod("files", s.kitchen, "ls", "/")
	pod.Spec.RestartPolicy = corev1.RestartPolicyNever
	s.create(t, ns, pod)
	if log := s.finalLog(t, ns, "files", corev1.PodSucceeded); log != "dev/\netc/\ntmp/\nvar/\n" {
		t.Errorf("the guest's root holds:\n%s", log)
	}
	pod = s.pod("churn", s.kitchen, "churn", "/tmp", "50")
	pod.Spec.RestartPolicy = corev1.RestartPolicyNever
	s.create(t, ns, pod)
	s.awaitPhase(t, ns, "churn", corev1.PodSucceeded)
}
