package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	corev1 "k8s.io/api/core/v1"
	stats "k8s.io/kubelet/pkg/apis/stats/v1alpha1"

	"github.com/krustlet-go/krustlet-wasi/hack/guests"
	"github.com/krustlet-go/krustlet-wasi/hack/testnode"
	"github.com/krustlet-go/krustlet-wasi/hack/workers"
)

// TestComponents: pods whose programs are components.
func TestComponents(t *testing.T) {
	t.Parallel()
	s := newSuite(t, "")
	kitchens := map[string]string{}
	for _, version := range []string{"0.2", "0.3"} {
		kitchens[version] = s.images.Push(t, "kitchen-"+version+":v1", component(t, "kitchen-"+version))
	}
	for name, test := range map[string]func(*testing.T, *suite, map[string]string){
		"Forms": testComponentForms, "Commands": testComponentCommands, "Attach": testComponentAttach, "Deletion": testComponentDeletion,
		"Restart": testComponentRestart, "Statistics": testComponentStatistics, "Refused": testComponentsRefused,
		"Isolated": testComponentIsolated, "Disk": testComponentDisk,
	} {
		t.Run(name, func(t *testing.T) { t.Parallel(); test(t, s, kitchens) })
	}
}

func component(t *testing.T, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(guests.Component(t, name))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func write(t *testing.T, ref string, image v1.Image) string {
	t.Helper()
	tag, err := name.ParseReference(ref)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(tag, image); err != nil {
		t.Fatal(err)
	}
	return ref
}

// artifact is an image that has only one file, with any media types.
func artifact(t *testing.T, config, layer types.MediaType, content []byte) v1.Image {
	t.Helper()
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), config)
	image, err := mutate.Append(image, mutate.Addendum{Layer: static.NewLayer(content, layer), MediaType: layer})
	if err != nil {
		t.Fatal(err)
	}
	return image
}

// testComponentForms: a component runs from each form of image, and its output is the log.
func testComponentForms(t *testing.T, s *suite, _ map[string]string) {
	ns := s.cluster.Namespace(t)
	hello2, hello3 := component(t, "hello-0.2"), component(t, "hello-0.3")
	rooted := guests.Image(t, v1.Config{Entrypoint: []string{"/bin/cook", "read"}, Cmd: []string{"etc/motd"}},
		map[string][]byte{"bin/cook.wasm": component(t, "kitchen-0.3"), "usr/bin/tool": guests.Tiny(t), "etc/motd": []byte("of the image\n")})
	wrapped, err := os.ReadFile(guests.Wrapped(t, "hello"))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		image, log string
		args       []string
	}{
		"cncf":    {s.images.Push(t, "cncf:v1", hello2), "hello from a component\nand goodbye\n", nil},
		"cncf3":   {s.images.Push(t, "cncf3:v1", hello3), "hello from a component of WASI 0.3\n", nil},
		"wrapped": {s.images.Push(t, "wrapped:v1", wrapped), "hello from WebAssembly, line 1\n", []string{"1", "1ms"}},
		"oci": {write(t, s.images.Host+"/oci:v1", artifact(t, "application/vnd.wasm.config.v1+json", "application/vnd.wasm.content.layer.v1+wasm", hello3)),
			"hello from a component of WASI 0.3\n", nil},
		"rooted": {write(t, s.images.Host+"/rooted:v1", rooted), "of the image\n", nil},
	} {
		s.create(t, ns, s.cook(name, c.image, c.args...))
		if log := s.finalLog(t, ns, name, corev1.PodSucceeded); log != c.log {
			t.Errorf("%s: the log is %q, want %q", name, log, c.log)
		}
	}
}

// testComponentCommands: exec and probes run an instance of their own beside the container's.
// `logs -f` shows the output as it comes.
func testComponentCommands(t *testing.T, s *suite, kitchens map[string]string) {
	ns := s.cluster.Namespace(t)
	for version, image := range kitchens {
		name := "sleeps-" + version[2:]
		pod := s.pod(name, image, "sleep")
		c := &pod.Spec.Containers[0]
		c.Lifecycle = &corev1.Lifecycle{PostStart: &corev1.LifecycleHandler{Exec: execHandler("kitchen", "write", "tmp/up", "yes")}}
		c.ReadinessProbe = execProbe("kitchen", "read", "tmp/up")
		s.create(t, ns, pod)
		s.await(t, ns, name, ready(true))
		e := &execs{suite: s, ns: ns, pod: name}
		for _, c := range []struct {
			stdin   io.Reader
			command []string
			want    result
		}{
			{nil, []string{"kitchen", "args", "a b", ""}, result{"kitchen\nargs\na b\n\n", "", 0}},
			{nil, []string{"kitchen", "read", "tmp/up"}, result{"yes", "", 0}},
			{nil, []string{"kitchen", "exit", "7"}, result{"", "command terminated with exit code 7\n", 7}},
			{nil, []string{"kitchen", "fail"}, result{"", "command terminated with exit code 1\n", 1}},
			{strings.NewReader("fed\n"), []string{"kitchen", "cat"}, result{"fed\n", "", 0}},
		} {
			if got := e.exec(t, c.stdin, c.command...); got != c.want {
				t.Errorf("%s: exec %q: %+v, want %+v", version, c.command, got, c.want)
			}
		}
		follow := e.talk(t, "logs", "-f", "-n", ns, name)
		if line, err := follow.out.ReadString('\n'); line != "sleeping\n" {
			t.Errorf("%s: logs -f: %q, %v", version, line, err)
		}
		s.delete(t, podNamed(ns, name))
		if rest := follow.end(t, 0); rest != "" {
			t.Errorf("%s: after it, logs -f showed %q", version, rest)
		}
	}
}

// podNamed names a pod.
func podNamed(namespace, name string) *corev1.Pod {
	pod := &corev1.Pod{}
	pod.Namespace, pod.Name = namespace, name
	return pod
}

func testComponentAttach(t *testing.T, s *suite, kitchens map[string]string) {
	ns := s.cluster.Namespace(t)
	for version, image := range kitchens {
		name := "cat-" + version[2:]
		pod := s.cook(name, image, "cat")
		pod.Spec.Containers[0].Stdin, pod.Spec.Containers[0].StdinOnce = true, true
		s.create(t, ns, pod)
		s.awaitRunning(t, ns, name)
		k := (&execs{suite: s, ns: ns}).talk(t, "attach", "-i", "-n", ns, name)
		k.say(t, "hello")
		k.say(t, "again")
		k.end(t, 0)
		if log := s.finalLog(t, ns, name, corev1.PodSucceeded); log != "hello\nagain\n" {
			t.Errorf("%s: the log is %q", version, log)
		}
	}
}

// testComponentDeletion: a component that reads its input ends by itself, long before its grace
// period does. Another one is killed at the end of the period.
func testComponentDeletion(t *testing.T, s *suite, kitchens map[string]string) {
	ns := s.cluster.Namespace(t)
	for version, image := range kitchens {
		reads, spins := s.pod("reads-"+version[2:], image, "cat"), s.pod("spins-"+version[2:], image, "loop")
		reads.Spec.Containers[0].Stdin, reads.Spec.TerminationGracePeriodSeconds = true, ptr(int64(3600))
		reads, spins = s.create(t, ns, reads), s.create(t, ns, spins)
		s.awaitRunning(t, ns, reads.Name)
		s.awaitRunning(t, ns, spins.Name)
		s.delete(t, reads)
		s.delete(t, spins)
		s.awaitGone(t, reads)
		s.awaitGone(t, spins)
	}
}

func testComponentRestart(t *testing.T, s *suite, kitchens map[string]string) {
	ns := s.cluster.Namespace(t)
	for version, image := range kitchens {
		name := "fails-" + version[2:]
		s.create(t, ns, s.pod(name, image, "fail"))
		pod := s.await(t, ns, name, restarted)
		if ended := pod.Status.ContainerStatuses[0].LastTerminationState.Terminated; ended == nil || ended.ExitCode != 1 || ended.Reason != "Error" {
			t.Errorf("%s: the last run ended as %+v", version, ended)
		}
		traps := s.create(t, ns, s.cook("traps-"+version[2:], image, "trap"))
		pod = s.awaitPhase(t, ns, traps.Name, corev1.PodFailed)
		if ended := pod.Status.ContainerStatuses[0].State.Terminated; ended.ExitCode != 134 || !strings.Contains(ended.Message, "command (component kitchen, module main, function ") {
			t.Errorf("%s: a trap: %+v", version, ended)
		}
	}
}

// testComponentStatistics: what `kubectl top` is made of.
func testComponentStatistics(t *testing.T, s *suite, kitchens map[string]string) {
	ns := s.cluster.Namespace(t)
	for version, image := range kitchens {
		pod := s.pod("loops-"+version[2:], image, "loop")
		pod.Spec.Containers[0].Resources.Limits = corev1.ResourceList{"cpu": resourceQuantity("100m"), "memory": resourceQuantity("32Mi")}
		s.create(t, ns, pod)
	}
	scraper := s.scraper(t, ns)
	testnode.Eventually(t, func() error {
		var summary stats.Summary
		if err := json.Unmarshal(scraper.get(t, "/stats/summary"), &summary); err != nil {
			return err
		}
		for version := range kitchens {
			pod := podStats(summary, ns, "loops-"+version[2:])
			if pod == nil || len(pod.Containers) != 1 || pod.Containers[0].CPU == nil || pod.Containers[0].Memory == nil || pod.Containers[0].CPU.UsageNanoCores == nil {
				return fmt.Errorf("%s is not measured yet", version)
			}
			c := pod.Containers[0]
			if err := errors.Join(within("cores", float64(*c.CPU.UsageNanoCores)/1e9, 0.01, 0.13),
				within("bytes of memory", float64(*c.Memory.WorkingSetBytes), 64<<10, 32<<20)); err != nil {
				return fmt.Errorf("%s: %w", version, err)
			}
		}
		return nil
	})
}

// testComponentsRefused: a container whose component cannot run says why.
func testComponentsRefused(t *testing.T, s *suite, kitchens map[string]string) {
	ns := s.cluster.Namespace(t)
	// (component (instance $i) (export "my:math/add@1.0.0" (instance $i)))
	library := []byte("\x00asm\x0d\x00\x01\x00" + "\x05\x03\x01\x01\x00" + "\x0b\x17\x01\x00\x11my:math/add@1.0.0\x05\x00\x00")
	listens := s.pod("listens", kitchens["0.3"], "sleep")
	listens.Annotations = map[string]string{"krustlet-wasi.dev/listen": "true"}
	listens.Spec.Containers[0].Ports = []corev1.ContainerPort{{ContainerPort: 18090}}
	s.create(t, ns, listens) // it gets no socket, and runs
	whole := component(t, "kitchen-0.2")
	for message, pod := range map[string]*corev1.Pod{
		"the component exports my:math/add@1.0.0 and is neither a command (wasi:cli/run@0.2 or @0.3) nor an HTTP handler": s.pod("library", s.images.Push(t, "library:v1", library)),
		"reading the component: at 0x": s.pod("cut", write(t, s.images.Host+"/cut:v1", artifact(t, "application/vnd.wasm.config.v0+json", "application/wasm", whole[:len(whole)/2]))),
	} {
		s.create(t, ns, pod)
		s.await(t, ns, pod.Name, func(p *corev1.Pod) error {
			c := p.Status.ContainerStatuses
			if len(c) != 1 || c[0].State.Waiting == nil {
				return errors.New("not waiting")
			}
			said := c[0].State.Waiting.Message
			if ended := c[0].LastTerminationState.Terminated; ended != nil {
				said += ended.Message
			}
			if !strings.Contains(said, message) {
				return fmt.Errorf("it says %q, want %q", said, message)
			}
			return nil
		})
	}
	s.await(t, ns, listens.Name, func(p *corev1.Pod) error {
		if p.Status.Phase != corev1.PodRunning {
			return fmt.Errorf("the pod with a port is %s", p.Status.Phase)
		}
		return nil
	})
}

// testComponentIsolated: a component in a worker of its pod alone. It reads and writes its files,
// answers exec, runs again after its worker was killed, and takes the worker with it when it ends.
func testComponentIsolated(t *testing.T, s *suite, kitchens map[string]string) {
	ns := s.cluster.Namespace(t)
	s.class(t, "wasmtime-isolated")
	var pods []*corev1.Pod
	for version, image := range kitchens {
		pod := s.pod("alone-"+version[2:], image, "sleep")
		pod.Spec.RuntimeClassName = ptr("wasmtime-isolated")
		pods = append(pods, s.create(t, ns, pod))
	}
	for _, pod := range pods {
		before := s.steady(t, ns, pod.Name)
		own := s.ownWorkers(t, pod)
		if len(own) != 1 {
			t.Fatalf("%s: its own workers are %+v", pod.Name, own)
		}
		e := &execs{suite: s, ns: ns, pod: pod.Name}
		for _, c := range []struct {
			command []string
			want    result
		}{
			{[]string{"kitchen", "write", "tmp/mine", "kept"}, result{}},
			{[]string{"kitchen", "read", "tmp/mine"}, result{"kept", "", 0}},
		} {
			if got := e.exec(t, nil, c.command...); got != c.want {
				t.Errorf("%s: exec %q: %+v, want %+v", pod.Name, c.command, got, c.want)
			}
		}
		kill(t, own[0].PID, syscall.SIGKILL)
		now := s.awaitRestarted(t, ns, pod.Name, before.ContainerID)
		if last := now.Status.ContainerStatuses[0].LastTerminationState.Terminated; last == nil || last.ExitCode != 137 || last.Reason != "Error" || !strings.Contains(last.Message, strconv.Itoa(own[0].PID)) {
			t.Errorf("%s: its worker was killed: %+v", pod.Name, last)
		}
		s.delete(t, pod)
		s.awaitGone(t, pod)
		testnode.Eventually(t, func() error {
			if own := s.ownWorkers(t, pod); len(own) > 0 {
				return fmt.Errorf("the pod is gone, and its workers %+v are not", own)
			}
			return nil
		})
	}
}

// ownWorkers are the workers of this pod alone.
func (s *suite) ownWorkers(t *testing.T, pod *corev1.Pod) []workers.Worker {
	t.Helper()
	return slices.DeleteFunc(s.node.Workers(t), func(w workers.Worker) bool { return !w.Isolated || w.Pod != string(pod.UID) })
}

// testComponentDisk: what a component writes counts for its pod, in /stats/summary and for the
// pod's limits.
func testComponentDisk(t *testing.T, s *suite, kitchens map[string]string) {
	ns := s.cluster.Namespace(t)
	const size = 40 << 10
	writes := func(name, image, file string) *corev1.Pod {
		pod := s.pod(name, image, "sleep")
		pod.Spec.Containers[0].Lifecycle = &corev1.Lifecycle{PostStart: &corev1.LifecycleHandler{Exec: execHandler("kitchen", "write", file, strings.Repeat("x", size))}}
		mount(pod, "data", "/data", corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{SizeLimit: ptr(resourceQuantity("20Ki"))}})
		return pod
	}
	messages := map[string]string{}
	for version, image := range kitchens {
		holds, over, full := writes("holds-"+version[2:], image, "tmp/some"), writes("over-"+version[2:], image, "tmp/much"), writes("full-"+version[2:], image, "data/much")
		over.Spec.Containers[0].Resources.Limits = corev1.ResourceList{corev1.ResourceEphemeralStorage: resourceQuantity("20Ki")}
		messages[over.Name] = "Pod ephemeral local storage usage exceeds the total limit of containers 20Ki. "
		messages[full.Name] = `Usage of EmptyDir volume "data" exceeds the limit "20Ki". `
		for _, pod := range []*corev1.Pod{holds, over, full} {
			s.create(t, ns, pod)
		}
	}
	for name, message := range messages {
		pod := s.awaitPhase(t, ns, name, corev1.PodFailed)
		if pod.Status.Reason != "Evicted" || pod.Status.Message != message {
			t.Errorf("%s: reason %q, message %q", name, pod.Status.Reason, pod.Status.Message)
		}
		s.awaitEvents(t, pod, "Evicted "+message)
	}
	scraper := s.scraper(t, ns)
	testnode.Eventually(t, func() error {
		var summary stats.Summary
		if err := json.Unmarshal(scraper.get(t, "/stats/summary"), &summary); err != nil {
			return err
		}
		for version := range kitchens {
			pod := podStats(summary, ns, "holds-"+version[2:])
			if pod == nil || len(pod.Containers) != 1 || pod.EphemeralStorage == nil || pod.Containers[0].Rootfs == nil || pod.Containers[0].Logs == nil || len(pod.VolumeStats) == 0 {
				return fmt.Errorf("%s is not measured yet: %+v", version, pod)
			}
			c := pod.Containers[0]
			if err := errors.Join(within("bytes of the root", float64(*c.Rootfs.UsedBytes), size, 2*size),
				within("bytes of the log", float64(*c.Logs.UsedBytes), 1, 16<<10),
				within("bytes of all", float64(*pod.EphemeralStorage.UsedBytes), size, 3*size)); err != nil {
				return fmt.Errorf("%s: %w", version, err)
			}
		}
		return nil
	})
}
