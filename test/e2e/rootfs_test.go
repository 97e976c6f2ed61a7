package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/krustlet-go/krustlet-wasi/hack/guests"
	"github.com/krustlet-go/krustlet-wasi/hack/testnode"
)

// TestRootfs: images with a root filesystem, as container builders make them.
func TestRootfs(t *testing.T) {
	s := newSuite(t, "")
	image := pushRooted(t, s)
	t.Run("pods", func(t *testing.T) {
		for name, test := range map[string]func(*testing.T, *suite, string){
			"config": testImageConfig, "modules": testImageModules, "private": testPrivateRoots, "read-only": testReadOnlyRoot,
			"restart": testRootAfterRestart, "isolated": testIsolatedRoot,
		} {
			t.Run(name, func(t *testing.T) { t.Parallel(); test(t, s, image) })
		}
	})
	testRootsAcrossAgents(t, s, image)
}

// pushRooted publishes an index with two images: one with the kitchen, a second module and a file,
// and one for Linux.
func pushRooted(t *testing.T, s *suite) string {
	t.Helper()
	kitchen, err := os.ReadFile(guests.Build(t, "kitchen"))
	if err != nil {
		t.Fatal(err)
	}
	image := guests.Image(t,
		v1.Config{Entrypoint: []string{"/bin/cook", "each"}, Cmd: []string{"args", "env", "cwd", "cat motd"}, Env: []string{"FROM=image", "BOTH=image"}, WorkingDir: "/etc"},
		map[string][]byte{"bin/cook.wasm": kitchen, "etc/motd": []byte("replaced\n"), "etc/gone": nil},
		map[string][]byte{"usr/bin/tool": guests.Tiny(t), "etc/motd": []byte("hello\n"), "etc/.wh.gone": nil},
	)
	linux, err := mutate.ConfigFile(empty.Image, &v1.ConfigFile{OS: "linux", Architecture: "amd64"})
	if err != nil {
		t.Fatal(err)
	}
	index := mutate.AppendManifests(empty.Index,
		mutate.IndexAddendum{Add: linux, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "amd64"}}},
		mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "wasip1", Architecture: "wasm"}}})
	ref, err := name.ParseReference(s.images.Host + "/cook:v1")
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.WriteIndex(ref.(name.Tag), index); err != nil {
		t.Fatal(err)
	}
	digest, err := index.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return ref.String() + "@" + digest.String()
}

// cook is a pod of the image that runs once. The arguments are for its entrypoint, `each`.
func (s *suite) cook(name, image string, args ...string) *corev1.Pod {
	pod := s.pod(name, image, args...)
	pod.Spec.RestartPolicy = corev1.RestartPolicyNever
	return pod
}

func testImageConfig(t *testing.T, s *suite, image string) {
	ns := s.cluster.Namespace(t)
	pod := s.cook("config", image)
	pod.Spec.Containers[0].Env = []corev1.EnvVar{{Name: "BOTH", Value: "pod"}}
	pod = s.create(t, ns, pod)
	log := s.finalLog(t, ns, "config", corev1.PodSucceeded)
	for _, want := range []string{
		"$ args\n/bin/cook\neach\nargs\nenv\ncwd\ncat motd\n", "FROM=image\n", "BOTH=pod\n", "HOSTNAME=config\n", "$ cwd\n/etc\n", "$ cat motd\nhello\n",
	} {
		if !strings.Contains(log, want) {
			t.Errorf("no %q in\n%s", want, log)
		}
	}
	_, digest, _ := strings.Cut(image, "@")
	if id := s.awaitPhase(t, ns, "config", corev1.PodSucceeded).Status.ContainerStatuses[0].ImageID; id != s.images.Host+"/cook@"+digest {
		t.Errorf("imageID %q", id)
	}
	s.awaitEvents(t, pod, "Created Container created", "Started Container started")

	pod = s.cook("own", image, "args", "cwd", "ls /etc")
	pod.Spec.Containers[0].WorkingDir = "/bin"
	s.create(t, ns, pod)
	log = s.finalLog(t, ns, "own", corev1.PodSucceeded)
	if want := "$ args\n/bin/cook\neach\nargs\ncwd\nls /etc\n$ cwd\n/bin\n$ ls /etc\nhostname\nhosts\nmotd\nresolv.conf\n"; log != want {
		t.Errorf("got\n%swant\n%s", log, want)
	}
}

// testImageModules: argv[0] decides which module runs, for containers, probes and hooks.
func testImageModules(t *testing.T, s *suite, image string) {
	ns := s.cluster.Namespace(t)
	pod := s.cook("tool", image)
	pod.Spec.Containers[0].Command = []string{"tool", "x"}
	s.create(t, ns, pod)
	if log := s.finalLog(t, ns, "tool", corev1.PodSucceeded); log != "tiny\n" {
		t.Errorf("the second module printed %q", log)
	}

	pod = s.pod("probed", image)
	c := &pod.Spec.Containers[0]
	c.Command = []string{"/bin/cook.wasm", "sleep"}
	// The kitchen does not know the command x. tool ends with 0 if it has one argument.
	command := func(argv ...string) corev1.ProbeHandler {
		return corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: argv}}
	}
	c.ReadinessProbe = &corev1.Probe{ProbeHandler: command("tool", "x"), PeriodSeconds: 1, TimeoutSeconds: 20}
	c.LivenessProbe = &corev1.Probe{ProbeHandler: command("cook", "cat", "/etc/motd"), PeriodSeconds: 1, TimeoutSeconds: 20}
	c.Lifecycle = &corev1.Lifecycle{PostStart: &corev1.LifecycleHandler{Exec: &corev1.ExecAction{Command: []string{"/usr/bin/tool", "x"}}}}
	s.create(t, ns, pod)
	s.await(t, ns, "probed", func(p *corev1.Pod) error {
		if c := p.Status.ContainerStatuses; len(c) != 1 || !c[0].Ready || c[0].RestartCount > 0 {
			return errors.New("not ready")
		}
		return nil
	})
	if out := s.cluster.Kubectl(t, "exec", "-n", ns, "probed", "--", "tool", "x"); out != "tiny\n" {
		t.Errorf("kubectl exec of the second module printed %q", out)
	}
	if out := s.cluster.Kubectl(t, "exec", "-n", ns, "probed", "--", "anything", "cat", "motd"); out != "hello\n" {
		t.Errorf("kubectl exec of no module printed %q", out)
	}
}

// testPrivateRoots: other pods do not see what a pod writes to its root directory.
func testPrivateRoots(t *testing.T, s *suite, image string) {
	ns := s.cluster.Namespace(t)
	for _, name := range []string{"one", "two"} {
		s.create(t, ns, s.cook(name, image, "cat motd", "write motd "+name, "write /new "+name, "rm /usr/bin/tool", "rename /etc/motd /etc/moved", "ls /", "cat /etc/moved"))
		want := "$ cat motd\nhello\n$ write motd " + name + "\n$ write /new " + name + "\n$ rm /usr/bin/tool\n$ rename /etc/motd /etc/moved\n" +
			"$ ls /\nbin/\ndev/\netc/\nnew\ntmp/\nusr/\nvar/\n$ cat /etc/moved\n" + name
		if log := s.finalLog(t, ns, name, corev1.PodSucceeded); log != want {
			t.Errorf("%s printed\n%s\nwant\n%s", name, log, want)
		}
	}
}

func testReadOnlyRoot(t *testing.T, s *suite, image string) {
	ns := s.cluster.Namespace(t)
	pod := s.cook("fixed", image, "cat motd", "write motd x", "write /new x", "mkdir /tmp/x", "cat hostname")
	pod.Spec.Containers[0].SecurityContext = &corev1.SecurityContext{ReadOnlyRootFilesystem: ptr(true)}
	s.create(t, ns, pod)
	log := s.finalLog(t, ns, "fixed", corev1.PodSucceeded)
	if !strings.HasPrefix(log, "$ cat motd\nhello\n") || strings.Count(log, "Read-only file system\n") < 2 || !strings.HasSuffix(log, "$ cat hostname\nfixed\n") {
		t.Errorf("printed\n%s", log)
	}
}

// testRootAfterRestart: a restarted container starts with the files of the image.
func testRootAfterRestart(t *testing.T, s *suite, image string) {
	ns := s.cluster.Namespace(t)
	pod := s.pod("again", image, "append motd x", "cat motd", "exit 3")
	s.create(t, ns, pod)
	s.await(t, ns, "again", func(p *corev1.Pod) error {
		if c := p.Status.ContainerStatuses; len(c) != 1 || c[0].RestartCount < 1 || c[0].LastTerminationState.Terminated == nil {
			return errors.New("not restarted")
		}
		return nil
	})
	const want = "$ append motd x\n$ cat motd\nhello\nx$ exit 3\n"
	testnode.Eventually(t, func() error {
		cmd, out := s.kubectl(t, "logs", "-n", ns, "again") // it fails while the next run is prepared
		if err := cmd.Run(); err != nil || out.String() != want {
			return errors.Join(err, fmt.Errorf("a later run printed %q", out))
		}
		return nil
	})
}

// testIsolatedRoot: an isolated worker can also open its pod's image and root directory.
func testIsolatedRoot(t *testing.T, s *suite, image string) {
	ns := s.cluster.Namespace(t)
	s.class(t, "wasmtime-isolated")
	pod := s.cook("alone", image, "cat motd", "append motd x", "cat motd")
	pod.Spec.RuntimeClassName = ptr("wasmtime-isolated")
	s.create(t, ns, pod)
	if log := s.finalLog(t, ns, "alone", corev1.PodSucceeded); !strings.HasPrefix(log, "$ cat motd\nhello\n$ append motd x\n$ cat motd\nhello\nx") {
		t.Errorf("printed\n%s", log)
	}
}

// testRootsAcrossAgents: a restart of the agent changes nothing in a pod's root directory. The
// mount is removed with the pod, even if the pod is deleted while no agent runs.
func testRootsAcrossAgents(t *testing.T, s *suite, image string) {
	ns := s.cluster.Namespace(t)
	var pods []*corev1.Pod
	for _, name := range []string{"stays", "goes"} {
		pod := s.pod(name, image)
		pod.Spec.Containers[0].Command = []string{"cook", "watch", "/etc/motd"}
		// The guest prints the file after each change. The probe, a command beside it, makes the
		// changes.
		pod.Spec.Containers[0].ReadinessProbe = &corev1.Probe{
			ProbeHandler:  corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{"cook", "append", "/etc/motd", name}}},
			PeriodSeconds: 1, TimeoutSeconds: 20,
		}
		s.create(t, ns, pod)
		pods = append(pods, s.await(t, ns, name, podReady))
	}
	s.node.Stop(t)
	now := int64(0)
	if err := s.client().CoreV1().Pods(ns).Delete(context.Background(), "goes", metav1.DeleteOptions{GracePeriodSeconds: &now}); err != nil {
		t.Fatal(err)
	}
	s.node.Start(t)
	s.node.WaitReady(t)
	stays := s.await(t, ns, "stays", podReady)
	if c := stays.Status.ContainerStatuses[0]; c.RestartCount != 0 {
		t.Errorf("restarted: %+v", c)
	}
	testnode.Eventually(t, func() error { return notMounted(t, s, string(pods[1].UID)) })
	// The new agent's probe writes to the same directory as before, so the guest reads it.
	before := len(s.cluster.Kubectl(t, "logs", "-n", ns, "stays"))
	testnode.Eventually(t, func() error {
		if log := s.cluster.Kubectl(t, "logs", "-n", ns, "stays"); len(log) == before || !strings.Contains(log, "\nstaysstays") {
			return fmt.Errorf("printed %q", log)
		}
		return nil
	})
	s.delete(t, stays)
	s.awaitGone(t, stays)
	// Only mounts of existing pods are left.
	testnode.Eventually(t, func() error { return notMounted(t, s, string(stays.UID)) })
	all, err := s.client().CoreV1().Pods("").List(context.Background(), metav1.ListOptions{FieldSelector: "spec.nodeName=" + s.node.Name})
	if err != nil {
		t.Fatal(err)
	}
	for i := range all.Items {
		s.awaitGone(t, &all.Items[i])
	}
	testnode.Eventually(t, func() error { return notMounted(t, s, s.node.DataDir) })
}

func podReady(p *corev1.Pod) error {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue {
			return nil
		}
	}
	return errors.New("not ready")
}

// notMounted returns an error if something is mounted at a path that contains the text.
func notMounted(t *testing.T, s *suite, text string) error {
	t.Helper()
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(table) {
		if bytes.Contains(line, []byte(text)) && bytes.Contains(line, []byte(s.node.DataDir)) {
			return fmt.Errorf("still mounted: %s", line)
		}
	}
	return nil
}
