package e2e

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestPodSpec: single fields of a pod's spec.
func TestPodSpec(t *testing.T) {
	s := newSuite(t, "", "--cluster-dns=192.0.2.10", "--cluster-domain=c.test")
	for name, test := range map[string]func(*testing.T, *suite){
		"PostStart":            testPostStartHoldsBack,
		"FileKeyRef":           testFileKeyRef,
		"RestartAllContainers": testRestartAllContainers,
		"ClusterDNS":           testClusterDNS,
		"EphemeralStorage":     testEphemeralStorage,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, s)
		})
	}
}

// testClusterDNS: a pod gets the cluster's name servers, unless it asks for others.
func testClusterDNS(t *testing.T, s *suite) {
	ns := s.cluster.Namespace(t)
	pod := s.pod("names", s.kitchen, "cat", "/etc/resolv.conf")
	pod.Spec.RestartPolicy = corev1.RestartPolicyNever
	pod.Spec.DNSConfig = &corev1.PodDNSConfig{Nameservers: []string{"192.0.2.1", "192.0.2.2", "192.0.2.3"}}
	pod = s.create(t, ns, pod)
	log := s.finalLog(t, ns, "names", corev1.PodSucceeded)
	if want := fmt.Sprintf("search %s.svc.c.test svc.c.test c.test", ns); !strings.HasPrefix(log, want) {
		t.Errorf("%q, want %q", log, want)
	}
	hasLines(t, log, "nameserver 192.0.2.10", "nameserver 192.0.2.1", "nameserver 192.0.2.2", "options ndots:5")
	s.awaitEvents(t, pod, "DNSConfigForming Nameserver limits were exceeded, some nameservers have been omitted")
}

// testEphemeralStorage: a pod that writes more than its limit is evicted.
func testEphemeralStorage(t *testing.T, s *suite) {
	ns := s.cluster.Namespace(t)
	pod := s.pod("writes", s.kitchen, "each", "write /tmp/much "+strings.Repeat("x", 200<<10), "sleep")
	pod.Spec.Containers[0].Resources.Limits = corev1.ResourceList{corev1.ResourceEphemeralStorage: resource.MustParse("100Ki")}
	pod = s.create(t, ns, pod)
	now := s.awaitPhase(t, ns, "writes", corev1.PodFailed)
	if want := "Pod ephemeral local storage usage exceeds the total limit of containers 100Ki. "; now.Status.Reason != "Evicted" || now.Status.Message != want {
		t.Errorf("reason %q, message %q", now.Status.Reason, now.Status.Message)
	}
	s.awaitEvents(t, pod, "Evicted Pod ephemeral local storage usage exceeds the total limit of containers 100Ki.")
}

// testPostStartHoldsBack: a container does not count as running until its postStart hook has ended.
func testPostStartHoldsBack(t *testing.T, s *suite) {
	ns := s.cluster.Namespace(t)
	pod := s.pod("hooked", s.kitchen, "sleep")
	grace := int64(10)
	pod.Spec.TerminationGracePeriodSeconds = &grace // longer than the hook takes
	pod.Spec.Containers[0].Lifecycle = &corev1.Lifecycle{PostStart: &corev1.LifecycleHandler{Sleep: &corev1.SleepAction{Seconds: 4}}}
	pod = s.create(t, ns, pod)
	s.awaitEvents(t, pod, "Started Container started")
	s.await(t, ns, "hooked", func(p *corev1.Pod) error {
		c := p.Status.ContainerStatuses
		if len(c) != 1 || c[0].State.Waiting == nil || c[0].State.Waiting.Reason != "ContainerCreating" || p.Status.Phase != corev1.PodPending || *c[0].Started {
			return errors.New("does not wait in ContainerCreating")
		}
		return nil
	})
	now := s.awaitPhase(t, ns, "hooked", corev1.PodRunning)
	if c := now.Status.ContainerStatuses[0]; c.State.Running == nil || !*c.Started || c.RestartCount != 0 {
		t.Errorf("once the hook is done: %+v", c)
	}
}

// testFileKeyRef: a file that an init container writes is the source of a later container's
// environment.
func testFileKeyRef(t *testing.T, s *suite) {
	ns := s.cluster.Namespace(t)
	yes := true
	from := func(file, key string, optional *bool) *corev1.EnvVarSource {
		return &corev1.EnvVarSource{FileKeyRef: &corev1.FileKeySelector{VolumeName: "data", Path: file, Key: key, Optional: optional}}
	}
	pod := s.printsEnvironment("from-file")
	pod.Spec.Volumes = []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}}
	pod.Spec.InitContainers = []corev1.Container{{
		Name: "init", Image: s.kitchen, Args: []string{"write", "/data/env", "# made by init\nCOLOUR='dark blue'\n"},
		VolumeMounts: []corev1.VolumeMount{{Name: "data", MountPath: "/data"}},
	}}
	pod.Spec.Containers[0].Env = []corev1.EnvVar{
		{Name: "SHADE", ValueFrom: from("env", "COLOUR", nil)},
		{Name: "NONE", ValueFrom: from("env", "SIZE", &yes)},
	}
	broken := pod.DeepCopy()
	s.create(t, ns, pod)
	broken.Name = "broken"
	broken.Spec.Containers[0].Env = []corev1.EnvVar{{Name: "SIZE", ValueFrom: from("env", "SIZE", nil)}}
	broken = s.create(t, ns, broken)
	hasLines(t, s.finalLog(t, ns, "from-file", corev1.PodSucceeded), "SHADE=dark blue")
	s.awaitEvents(t, broken, `Failed Error: environment variable key "SIZE" not found in file "env" of volume "data"`)
	s.await(t, ns, "broken", func(p *corev1.Pod) error {
		if c := p.Status.ContainerStatuses; len(c) != 1 || c[0].State.Waiting == nil || c[0].State.Waiting.Reason != "CreateContainerConfigError" {
			return errors.New("does not wait with CreateContainerConfigError")
		}
		return nil
	})
}

// testRestartAllContainers: the end of one container makes all of them start over, also the init
// container.
func testRestartAllContainers(t *testing.T, s *suite) {
	ns := s.cluster.Namespace(t)
	never := corev1.ContainerRestartPolicyNever
	pod := s.pod("over", s.kitchen, "sleep")
	pod.Spec.RestartPolicy = corev1.RestartPolicyNever
	pod.Spec.InitContainers = []corev1.Container{{Name: "init", Image: s.kitchen, Args: []string{"echo", "init"}}}
	pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{
		Name: "asks", Image: s.kitchen, Args: []string{"each", "sleep 2s", "exit 3"}, RestartPolicy: &never,
		RestartPolicyRules: []corev1.ContainerRestartRule{{
			Action:    corev1.ContainerRestartRuleActionRestartAllContainers,
			ExitCodes: &corev1.ContainerRestartRuleOnExitCodes{Operator: corev1.ContainerRestartRuleOnExitCodesOpIn, Values: []int32{3}},
		}},
	})
	pod = s.create(t, ns, pod)
	now := s.await(t, ns, "over", func(p *corev1.Pod) error {
		if len(p.Status.ContainerStatuses) == 0 {
			return errors.New("no status yet")
		}
		for _, c := range append(p.Status.InitContainerStatuses, p.Status.ContainerStatuses...) {
			if c.RestartCount == 0 {
				return fmt.Errorf("%s has not started over", c.Name)
			}
		}
		return nil
	})
	for _, c := range append(now.Status.InitContainerStatuses, now.Status.ContainerStatuses...) {
		last := c.LastTerminationState.Terminated
		if want := map[bool]string{true: "Error", false: "RestartingAllContainers"}[c.Name == "asks"]; last == nil || last.Reason != want {
			t.Errorf("%s ended last as %+v", c.Name, last)
		}
	}
	s.awaitEvents(t, pod, "Killing Container main will be restarted with all others of its pod")
	found := false
	for _, c := range now.Status.Conditions {
		found = found || c.Type == corev1.AllContainersRestarting
	}
	if !found {
		t.Errorf("conditions %+v", now.Status.Conditions)
	}
	if err := s.client().CoreV1().Pods(ns).Delete(t.Context(), "over", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	s.awaitGone(t, pod)
}
