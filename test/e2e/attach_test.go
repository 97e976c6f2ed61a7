package e2e

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/krustlet-go/krustlet-wasi/hack/testnode"
)

// talk is a running kubectl with which a test exchanges lines.
type talk struct {
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	out    *bufio.Reader
	stderr bytes.Buffer
}

func (e *execs) talk(t *testing.T, args ...string) *talk {
	t.Helper()
	cmd, _ := e.kubectl(t, args...)
	k := &talk{cmd: cmd}
	cmd.Env, cmd.Stdout, cmd.Stderr = append(cmd.Env, e.env...), nil, &k.stderr
	var err error
	if k.stdin, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	k.out = bufio.NewReader(out)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // normally it has exited already
		_ = k.stdin.Close()
	})
	return k
}

// say writes a line and expects the same line back.
func (k *talk) say(t *testing.T, line string) {
	t.Helper()
	if _, err := fmt.Fprintln(k.stdin, line); err != nil {
		t.Fatal(err)
	}
	if got, err := k.out.ReadString('\n'); err != nil || got != line+"\n" {
		_ = k.cmd.Process.Kill()
		_ = k.cmd.Wait() // after that the output is complete
		t.Fatalf("%q, %v, want %q; standard error:\n%s", got, err, line, &k.stderr)
	}
}

// end closes the input and expects kubectl to exit with this code.
func (k *talk) end(t *testing.T, code int) (rest string) {
	t.Helper()
	_ = k.stdin.Close()
	text, err := io.ReadAll(k.out)
	if err != nil {
		t.Error(err)
	}
	_ = k.cmd.Wait() // the code below is what matters
	if got := k.cmd.ProcessState.ExitCode(); got != code {
		t.Errorf("kubectl ended with %d, want %d; standard error:\n%s", got, code, &k.stderr)
	}
	return string(text)
}

// stdinPod is a pod that prints what it reads.
func (s *suite) stdinPod(name string, once bool) *corev1.Pod {
	pod := s.pod(name, s.kitchen, "cat")
	pod.Spec.RestartPolicy = corev1.RestartPolicyNever
	pod.Spec.Containers[0].Stdin, pod.Spec.Containers[0].StdinOnce = true, once
	return pod
}

// testAttach exchanges lines with a container. If its input is for one client only, the container
// ends with the input.
func testAttach(t *testing.T, e *execs) {
	ns := e.cluster.Namespace(t)
	e.create(t, ns, e.stdinPod("once", true))
	e.create(t, ns, e.stdinPod("open", false))
	e.awaitRunning(t, ns, "once")
	k := e.talk(t, "attach", "-i", "-n", ns, "once")
	k.say(t, "hello")
	// A second client sees what the guest prints, but may not write.
	second := e.kubectlIn(t, strings.NewReader("me too"), "attach", "-i", "-n", ns, "once")
	if second.code == 0 || !strings.Contains(second.stderr, `the standard input of container "main" has another client`) {
		t.Errorf("a second client with an input: %+v", second)
	}
	reader, heard := e.talk(t, "attach", "-n", ns, "once"), make(chan string, 1)
	go func() {
		line, _ := reader.out.ReadString('\n') // the check below reports an error
		heard <- line
	}()
	testnode.Eventually(t, func() error {
		k.say(t, "heard?")
		select {
		case line := <-heard:
			if line != "heard?\n" {
				t.Errorf("a second client heard %q", line)
			}
			return nil
		default:
			return errors.New("a second client hears nothing")
		}
	})
	k.end(t, 0)
	reader.end(t, 0)
	e.awaitPhase(t, ns, "once", corev1.PodSucceeded)
	if got := e.kubectlIn(t, nil, "attach", "-n", ns, "once"); got.code == 0 {
		t.Errorf("attached to a container that has ended: %+v", got)
	}

	// If the input is for many clients, the next client can attach after the first.
	e.awaitRunning(t, ns, "open")
	for range 2 {
		testnode.Eventually(t, func() error {
			k := e.talk(t, "attach", "-i", "-n", ns, "open")
			defer func() {
				_ = k.cmd.Process.Kill()
				_ = k.cmd.Wait() // it was killed
			}()
			_, _ = fmt.Fprintln(k.stdin, "hello") // the check of the answer is enough
			if got, err := k.out.ReadString('\n'); got != "hello\n" {
				return fmt.Errorf("%q, %w", got, err) // the client before may still be attached
			}
			return nil
		})
	}

	e.create(t, ns, e.suite.pod("deaf", e.kitchen, "sleep"))
	e.awaitRunning(t, ns, "deaf")
	deaf := e.kubectlIn(t, strings.NewReader("x"), "attach", "-i", "-n", ns, "deaf")
	if deaf.code == 0 || !strings.Contains(deaf.stderr, "its spec does not say stdin: true") {
		t.Errorf("an input for a container without: %+v", deaf)
	}
}

// testRun runs pods with `kubectl run`, as users do for a quick try.
func testRun(t *testing.T, e *execs) {
	ns := e.cluster.Namespace(t)
	// These fields have no flags.
	place := fmt.Sprintf(`{"spec":{"tolerations":[{"operator":"Exists"}],"terminationGracePeriodSeconds":1,"nodeSelector":{"kubernetes.io/hostname":%q}}}`, e.node.Name)
	run := func(name string) []string {
		return []string{"run", name, "-n", ns, "--image=" + e.kitchen, "--image-pull-policy=IfNotPresent", "--restart=Never", "--rm", "-i", "--quiet", "--overrides=" + place, "--"}
	}
	k := e.talk(t, append(run("talk"), "cat")...)
	k.say(t, "hello")
	k.say(t, "again")
	if rest := k.end(t, 0); strings.Contains(rest, "again") {
		t.Errorf("more than was said: %q", rest)
	}
	// The command runs long enough for kubectl to attach before the end. Earlier lines come from
	// the log.
	got := e.kubectlIn(t, strings.NewReader(""), append(run("fail"), "count", "300", "7")...)
	if got.code != 7 || !strings.Contains(got.stdout, "\n299\n") {
		t.Errorf("a pod that fails: %+v", got)
	}
}

// testDebug inspects a pod from an ephemeral container.
func testDebug(t *testing.T, e *execs) {
	ns := e.cluster.Namespace(t)
	e.create(t, ns, e.suite.pod("subject", e.tiny))
	e.awaitRunning(t, ns, "subject")
	k := e.talk(t, "debug", "-n", ns, "-i", "--image="+e.kitchen, "--container=look", "--quiet", "subject", "--", "cat")
	k.say(t, "hello")
	pod, err := e.get(ns, "subject")
	if err != nil || len(pod.Status.EphemeralContainerStatuses) != 1 || pod.Status.EphemeralContainerStatuses[0].State.Running == nil {
		t.Errorf("%+v, %v", pod.Status.EphemeralContainerStatuses, err)
	}
	if log := e.cluster.Kubectl(t, "logs", "-n", ns, "subject", "-c", "look"); log != "hello\n" {
		t.Errorf("log %q", log)
	}
	// A command beside the ephemeral container.
	got := e.kubectlIn(t, nil, "exec", "-n", ns, "subject", "-c", "look", "--", "echo", "beside")
	if got != (result{stdout: "beside\n"}) {
		t.Errorf("exec: %+v", got)
	}
}

// testPortForward fetches pages from a pod, many at the same time. For a port that the pod does not
// have, kubectl gets an error.
func testPortForward(t *testing.T, e *execs, serve string, port int32) {
	ns := e.cluster.Namespace(t)
	pod := e.suite.pod("web", serve)
	pod.Annotations = map[string]string{"krustlet-wasi.dev/listen": "true"}
	pod.Spec.Containers[0].Ports = []corev1.ContainerPort{{ContainerPort: port}}
	e.create(t, ns, pod)
	e.awaitRunning(t, ns, "web")
	k := e.talk(t, "port-forward", "-n", ns, "--address=127.0.0.1", "web", fmt.Sprintf(":%d", port), ":1")
	address := func() string {
		line, err := k.out.ReadString('\n')
		if err != nil {
			t.Fatalf("%v: %s", err, &k.stderr)
		}
		_, rest, _ := strings.Cut(line, "Forwarding from ")
		to, _, _ := strings.Cut(rest, " ")
		return to
	}
	good, bad := address(), address()
	answers := make(chan error)
	const clients = 8
	for i := range clients {
		go func() {
			answers <- fetch(fmt.Sprintf("http://%s/%d", good, i), fmt.Sprintf("/%d from descriptor 3\n", i))
		}()
	}
	for range clients {
		if err := <-answers; err != nil {
			t.Error(err)
		}
	}
	if err := fetch("http://"+bad+"/", ""); err == nil {
		t.Error("a port that is not the pod's answers")
	}
	k.end(t, 1)
	if want := fmt.Sprintf(`pod "web" does not listen on port 1: the TCP ports of its containers that run are [%d]`, port); !strings.Contains(strings.ReplaceAll(k.stderr.String(), `\"`, `"`), want) {
		t.Errorf("kubectl says %s, want %s", &k.stderr, want)
	}
}

func fetch(url, want string) error {
	client := &http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Get(url)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if text, err := io.ReadAll(answer.Body); err != nil || string(text) != want {
		return fmt.Errorf("%s: %q, %w", url, text, err)
	}
	return nil
}
