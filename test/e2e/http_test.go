package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"

	"github.com/krustlet-go/krustlet-wasi/hack/testnode"
)

// TestHTTP: pods whose images are HTTP handlers.
func TestHTTP(t *testing.T) {
	t.Parallel()
	s := newSuite(t, "")
	images := s.handlers(t)
	for name, test := range map[string]func(*testing.T, *suite, map[string]string){
		"Served": testHTTPServed, "Refused": testHTTPRefused, "Ends": testHTTPEnds, "Overdue": testHTTPOverdue, "Traps": testHTTPTraps,
		"Metrics": testHTTPMetrics, "TLS": testHTTPTLS, "Config": testHTTPConfig, "Worker": testHTTPWorkerDies, "Ports": testHTTPPorts, "Host": testHTTPHost,
	} {
		t.Run(name, func(t *testing.T) { t.Parallel(); test(t, s, images) })
	}
}

// handlers are images of handlers that do what the path says, by the version of WASI.
func (s *suite) handlers(t *testing.T) map[string]string {
	t.Helper()
	images := map[string]string{}
	for _, version := range []string{"0.2", "0.3"} {
		images[version] = s.images.Push(t, "http-kitchen-"+version+":v1", component(t, "http-kitchen-"+version))
	}
	return images
}

// at is where a pod's handler is served.
func at(pod *corev1.Pod) string { return hostPort(pod.Status.PodIP, handlerPort) }

// get is the status and the body of an answer.
func get(t *testing.T, url string) (int, string) {
	t.Helper()
	answer, err := web.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(text)
}

// testHTTPServed: a handler is ready with its first probe, and answers at its pod's address and by
// port-forward. Its output and the access log are the container's log. It has no commands.
func testHTTPServed(t *testing.T, s *suite, images map[string]string) {
	ns := s.cluster.Namespace(t)
	for version, image := range images {
		name := "web-" + version[2:]
		pod := s.handler(name, image)
		pod.Annotations = map[string]string{"krustlet-wasi.dev/http-access-log": "true"}
		s.create(t, ns, pod)
		pod = s.await(t, ns, name, ready(true))
		if code, text := get(t, "http://"+at(pod)+"/output?a=secret"); code != http.StatusOK || text != "hello\n" {
			t.Errorf("%s: %d %q", version, code, text)
		}
		var log string
		testnode.Eventually(t, func() error {
			log = s.cluster.Kubectl(t, "logs", "-n", ns, name)
			for _, want := range []string{"a line on standard output\n", "a line on standard error\n", " GET /hello HTTP/1.1 200 6 ", " GET /output HTTP/1.1 200 6 "} {
				if !strings.Contains(log, want) {
					return fmt.Errorf("no %q in the log:\n%s", want, log)
				}
			}
			return nil
		})
		if strings.Contains(log, "secret") {
			t.Errorf("%s: the query is in the log:\n%s", version, log)
		}
		first, _, _ := strings.Cut(log, " ")
		if client, err := netip.ParseAddrPort(first); err != nil || !client.Addr().IsLoopback() {
			t.Errorf("%s: the access log does not begin with the client: %q, %v", version, first, err)
		}
		e := &execs{suite: s, ns: ns, pod: name}
		if err := fetch("http://"+e.forward(t, ":http")+"/hello", "hello\n"); err != nil {
			t.Errorf("%s: port-forward: %v", version, err)
		}
		if got := e.exec(t, nil, "sh"); got.code == 0 || !strings.Contains(got.stderr, "the component is an HTTP handler, and has no command to run") {
			t.Errorf("%s: exec: %+v", version, got)
		}
		if now := s.steady(t, ns, name); now.RestartCount != 0 {
			t.Errorf("%s: the container was restarted: %+v", version, now)
		}
		s.noEvents(t, pod, "Unhealthy")
	}
}

// forward lets kubectl forward a port of the pod until the test ends. It returns where kubectl
// listens.
func (e *execs) forward(t *testing.T, port string) string {
	t.Helper()
	k := e.talk(t, "port-forward", "-n", e.ns, "--address=127.0.0.1", e.pod, port)
	line, err := k.out.ReadString('\n')
	_, rest, _ := strings.Cut(line, "Forwarding from ")
	to, _, _ := strings.Cut(rest, " ")
	if err != nil {
		t.Fatalf("%v: %s", err, &k.stderr)
	}
	return to
}

// noEvents fails the test if the pod has an event with this reason.
func (s *suite) noEvents(t *testing.T, pod *corev1.Pod, reason string) {
	t.Helper()
	list, err := s.client().CoreV1().Events(pod.Namespace).List(t.Context(), metav1.ListOptions{
		FieldSelector: fields.SelectorFromSet(fields.Set{"involvedObject.uid": string(pod.UID), "reason": reason}).String(),
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list.Items {
		t.Errorf("%s has the event %s %s", pod.Name, e.Reason, e.Message)
	}
}

// testHTTPRefused: a handler whose port is taken, or whose annotations are wrong, does not start
// and says why.
func testHTTPRefused(t *testing.T, s *suite, images map[string]string) {
	ns := s.cluster.Namespace(t)
	twice := s.handler("twice", images["0.2"])
	other := *twice.Spec.Containers[0].DeepCopy()
	other.Name, other.Image = "other", images["0.3"]
	always := corev1.ContainerRestartPolicyAlways
	side := *twice.Spec.Containers[0].DeepCopy()
	side.Name, side.RestartPolicy = "side", &always
	twice.Spec.InitContainers = []corev1.Container{side} // it starts first, and has the port
	twice.Spec.Containers = []corev1.Container{other}
	twice = s.create(t, ns, twice)
	wrong := s.handler("wrong", images["0.2"])
	wrong.Annotations = map[string]string{"krustlet-wasi.dev/http-reuse": "hushed"}
	wrong = s.create(t, ns, wrong)

	now := s.await(t, ns, "twice", func(p *corev1.Pod) error {
		if len(p.Status.ContainerStatuses) == 0 || p.Status.ContainerStatuses[0].LastTerminationState.Terminated == nil {
			return errors.New("the second has not failed")
		}
		return nil
	})
	s.awaitEvents(t, twice, "Failed Error: starting the guest: listening on "+at(now)+": ")
	if said := now.Status.ContainerStatuses[0].LastTerminationState.Terminated.Message; !strings.Contains(said, at(now)) {
		t.Errorf("the container's status says %q", said)
	}
	if code, text := get(t, "http://"+at(now)+"/hello"); code != http.StatusOK || text != "hello\n" {
		t.Errorf("the first: %d %q", code, text)
	}

	const reason = "reading annotation krustlet-wasi.dev/http-reuse: it must be a whole number from 1 to 1000000000"
	s.await(t, ns, "wrong", func(p *corev1.Pod) error {
		if c := p.Status.ContainerStatuses; len(c) != 1 || c[0].State.Waiting == nil || c[0].State.Waiting.Reason != "CreateContainerConfigError" || c[0].State.Waiting.Message != reason {
			return errors.New("it does not wait with the reason")
		}
		return nil
	})
	s.awaitEvents(t, wrong, "Failed Error: "+reason)
	s.cluster.Kubectl(t, "annotate", "pod", "-n", ns, "wrong", "--overwrite", "krustlet-wasi.dev/http-reuse=5")
	s.await(t, ns, "wrong", ready(true))
}

// held is a pod that stays in the API when it has ended, so that its last status can be read.
func (s *suite) held(t *testing.T, ns string, pod *corev1.Pod) *corev1.Pod {
	t.Helper()
	pod.Finalizers = []string{"example.com/held"}
	pod = s.create(t, ns, pod)
	t.Cleanup(func() {
		_, err := s.client().CoreV1().Pods(ns).Patch(context.Background(), pod.Name, types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{})
		if err != nil {
			t.Error(err)
		}
	})
	return pod
}

// begun is an answer that has begun, of a request that takes some milliseconds more.
func begun(t *testing.T, pod *corev1.Pod, milliseconds int) *http.Response {
	t.Helper()
	answer, err := web.Get(fmt.Sprintf("http://%s/late%d", at(pod), milliseconds))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = answer.Body.Close() })
	return answer
}

// awaitEnd waits for the end of a pod's container.
func (s *suite) awaitEnd(t *testing.T, pod *corev1.Pod) *corev1.ContainerStateTerminated {
	t.Helper()
	now := s.await(t, pod.Namespace, pod.Name, func(p *corev1.Pod) error {
		if c := p.Status.ContainerStatuses; len(c) != 1 || c[0].State.Terminated == nil {
			return errors.New("its container has not ended")
		}
		return nil
	})
	return now.Status.ContainerStatuses[0].State.Terminated
}

// refuses waits until nothing listens at an address, and reports whether that came before the end
// of the channel. It connects seldom: a handler that ends goes on while there are new connections.
func refuses(to string, until <-chan struct{}) bool {
	tick := time.NewTicker(700 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-until:
			return false
		}
		c, err := net.Dial("tcp", to)
		if err != nil {
			return errors.Is(err, syscall.ECONNREFUSED)
		}
		_ = c.Close()
	}
}

// testHTTPEnds: when its pod is deleted, a handler answers what it has begun, accepts nothing new,
// and ends by itself.
func testHTTPEnds(t *testing.T, s *suite, images map[string]string) {
	ns := s.cluster.Namespace(t)
	for version, image := range images {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			pod := s.handler("ends-"+version[2:], image)
			pod.Spec.TerminationGracePeriodSeconds = ptr(int64(300))
			s.held(t, ns, pod)
			pod = s.await(t, ns, pod.Name, ready(true))
			answer := begun(t, pod, 10_000)
			s.delete(t, pod)
			done := make(chan struct{})
			var text []byte
			var err error
			go func() {
				defer close(done)
				text, err = io.ReadAll(answer.Body)
			}()
			if !refuses(at(pod), done) {
				t.Error("it accepts connections until the end of its last request")
			}
			<-done
			if err != nil || string(text) != "hello\n" {
				t.Errorf("the request that was under way: %q, %v", text, err)
			}
			if end := s.awaitEnd(t, pod); end.ExitCode != 0 || end.Reason != "Completed" {
				t.Errorf("it has ended as %+v", end)
			}
		})
	}
}

// testHTTPOverdue: a request that is still under way after the grace period is cut off.
func testHTTPOverdue(t *testing.T, s *suite, images map[string]string) {
	ns := s.cluster.Namespace(t)
	for version, image := range images {
		pod := s.handler("overdue-"+version[2:], image)
		pod.Spec.TerminationGracePeriodSeconds = ptr(int64(2))
		pod = s.held(t, ns, pod)
		pod = s.await(t, ns, pod.Name, ready(true))
		answer := begun(t, pod, 600_000)
		s.delete(t, pod)
		if text, err := io.ReadAll(answer.Body); err == nil {
			t.Errorf("%s: an answer that was cut off looks complete: %q", pod.Name, text)
		}
		if end := s.awaitEnd(t, pod); end.ExitCode != 137 || end.Reason != "Error" {
			t.Errorf("%s has ended as %+v", pod.Name, end)
		}
	}
}

// testHTTPTraps: a request that traps ends its instance, and no other request notices. The log says
// why. As an answer to a liveness probe it restarts the container.
func testHTTPTraps(t *testing.T, s *suite, images map[string]string) {
	ns := s.cluster.Namespace(t)
	for version, image := range images {
		pod := s.handler("traps-"+version[2:], image)
		s.create(t, ns, pod)
		pod = s.await(t, ns, pod.Name, ready(true))
		for path, want := range map[string]int{"trap": http.StatusInternalServerError, "hello": http.StatusOK} {
			if code, _ := get(t, "http://"+at(pod)+"/"+path); code != want {
				t.Errorf("%s: /%s: %d", version, path, code)
			}
		}
		testnode.Eventually(t, func() error {
			if log := s.cluster.Kubectl(t, "logs", "-n", ns, pod.Name); !strings.Contains(log, "HTTP instance ") || !strings.Contains(log, "unreachable") {
				return fmt.Errorf("the log does not say why the request failed:\n%s", log)
			}
			return nil
		})
		if now := s.steady(t, ns, pod.Name); now.RestartCount != 0 {
			t.Errorf("%s: a request has restarted the container: %+v", version, now)
		}
		lives := s.handler("lives-"+version[2:], image)
		lives.Spec.Containers[0].LivenessProbe = handlerProbe("/trap")
		lives = s.create(t, ns, lives)
		s.await(t, ns, lives.Name, restarted)
		s.awaitEvents(t, lives, "Unhealthy Liveness probe failed: HTTP probe failed with statuscode: 500", "Killing Container main failed liveness probe, will be restarted")
	}
}

// testHTTPConfig: a guest reads a ConfigMap of its pod by wasi:config.
func testHTTPConfig(t *testing.T, s *suite, _ map[string]string) {
	ns := s.cluster.Namespace(t)
	s.configMap(t, ns, "settings", map[string]string{"color": "blue"})
	pod := s.cook("config", s.images.Push(t, "config:v1", component(t, "config")))
	pod.Annotations = map[string]string{"krustlet-wasi.dev/config": "settings"}
	pod.Spec.Volumes = []corev1.Volume{{Name: "settings", VolumeSource: configMapSource("settings")}} // no container mounts it
	s.create(t, ns, pod)
	if log := s.finalLog(t, ns, pod.Name, corev1.PodSucceeded); !strings.Contains(log, "INFO color: blue\n") || !strings.Contains(log, "WARN absent: none\n") {
		t.Errorf("the guest finds\n%s", log)
	}
}

// testHTTPWorkerDies: after its worker was killed under load, a handler runs and serves again.
func testHTTPWorkerDies(t *testing.T, s *suite, images map[string]string) {
	ns := s.cluster.Namespace(t)
	s.class(t, "wasmtime-isolated")
	pod := s.handler("alone", images["0.2"])
	pod.Spec.RuntimeClassName = ptr("wasmtime-isolated")
	s.create(t, ns, pod)
	pod = s.await(t, ns, pod.Name, ready(true))
	l := newLoad(t, at(pod))
	l.more(t, 20)
	own := s.ownWorkers(t, pod)
	if len(own) != 1 {
		t.Fatalf("its own workers are %+v", own)
	}
	before := s.steady(t, ns, pod.Name)
	kill(t, own[0].PID, syscall.SIGKILL)
	now := s.awaitRestarted(t, ns, pod.Name, before.ContainerID)
	c := now.Status.ContainerStatuses[0]
	if last := c.LastTerminationState.Terminated; c.RestartCount != 1 || last == nil || last.ExitCode != 137 || now.Status.PodIP != pod.Status.PodIP {
		t.Errorf("after the end of its worker: %+v", now.Status)
	}
	l.more(t, 20)
	l.end()
	if code, text := get(t, "http://"+at(pod)+"/hello"); code != http.StatusOK || text != "hello\n" {
		t.Errorf("%d %q", code, text)
	}
}

// TestHTTPAcrossAgents: clients of a handler do not notice that the agent is stopped, killed, and
// started, also with other settings, for which new pods get a new worker. The log goes on.
func TestHTTPAcrossAgents(t *testing.T) {
	t.Parallel()
	s := newSuite(t, "")
	ns := s.cluster.Namespace(t)
	var targets []string
	before := map[string]corev1.ContainerStatus{}
	var pods []*corev1.Pod
	for version, image := range s.handlers(t) {
		pod := s.handler("stays-"+version[2:], image)
		s.create(t, ns, pod)
		pods = append(pods, s.await(t, ns, pod.Name, ready(true)))
	}
	for _, pod := range pods {
		before[pod.Name] = s.steady(t, ns, pod.Name)
		targets = append(targets, at(pod))
	}
	l := newLoad(t, targets...)
	l.more(t, 50)
	lines := 0
	for _, end := range []func(testing.TB){s.node.Stop, s.node.Kill, func(t testing.TB) {
		s.node.Stop(t)
		s.node.Args = append(s.node.Args, "--workers", "2")
	}} {
		end(t)
		l.more(t, 50)
		for _, pod := range pods {
			get(t, "http://"+at(pod)+"/output") // while no agent runs
		}
		s.node.Start(t)
		s.node.WaitReady(t)
		l.more(t, 50)
		lines++
		for _, pod := range pods {
			now := s.steady(t, ns, pod.Name)
			if was := before[pod.Name]; now.ContainerID != was.ContainerID || now.RestartCount != 0 || !now.State.Running.StartedAt.Equal(&was.State.Running.StartedAt) {
				t.Errorf("the container was %+v, and is %+v", was, now)
			}
			if log := s.cluster.Kubectl(t, "logs", "-n", ns, pod.Name); strings.Count(log, "a line on standard output\n") != lines {
				t.Errorf("want %d lines in the log of %s:\n%s", lines, pod.Name, log)
			}
			s.await(t, ns, pod.Name, ready(true))
		}
	}
	l.lost(t)
}
