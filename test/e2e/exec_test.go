package e2e

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os/exec"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/remotecommand"

	"github.com/krustlet-go/krustlet-wasi/hack/testnode"
)

// protocols are the protocols that kubectl can use, and the value of its environment variable for
// each.
var protocols = map[string]string{"WebSocket": "true", "SPDY": "false"}

// TestExec runs commands beside containers and attaches to containers, like kubectl and client-go.
func TestExec(t *testing.T) {
	s := newSuite(t, "")
	ns := s.cluster.Namespace(t)
	s.create(t, ns, s.pod("main", s.kitchen, "sleep"))
	s.awaitRunning(t, ns, "main")
	serve, ports := s.images.PushGuest(t, "serve"), map[string]int32{"WebSocket": 18081, "SPDY": 18082}
	for protocol, value := range protocols {
		e := &execs{suite: s, ns: ns, pod: "main", env: []string{"KUBECTL_REMOTE_COMMAND_WEBSOCKETS=" + value, "KUBECTL_PORT_FORWARD_WEBSOCKETS=" + value}}
		t.Run(protocol, func(t *testing.T) {
			for name, test := range map[string]func(*testing.T, *execs){
				"Commands":    testExecCommands,
				"Streams":     testExecStreams,
				"Big":         testExecBig,
				"Gone":        testExecGone,
				"Attach":      testAttach,
				"Run":         testRun,
				"Debug":       testDebug,
				"PortForward": func(t *testing.T, e *execs) { testPortForward(t, e, serve, ports[protocol]) },
			} {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					test(t, e)
				})
			}
		})
	}
	for name, test := range map[string]func(*testing.T, *suite){
		"Quota":      testExecQuota,
		"End":        testExecEnd,
		"Terminal":   testExecTerminal,
		"NotRunning": testExecNotRunning,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, s)
		})
	}
}

func (s *suite) awaitRunning(t *testing.T, namespace, name string) *corev1.Pod {
	t.Helper()
	return s.await(t, namespace, name, func(p *corev1.Pod) error {
		for _, c := range p.Status.ContainerStatuses {
			if c.State.Running != nil {
				return nil
			}
		}
		return errors.New("no container runs")
	})
}

// execs runs kubectl on a pod, with one of the protocols.
type execs struct {
	*suite
	ns, pod string
	env     []string
}

// result is the result of a kubectl.
type result struct {
	stdout, stderr string
	code           int
}

// kubectlIn runs kubectl with a standard input, and waits until it exits.
func (e *execs) kubectlIn(t *testing.T, stdin io.Reader, args ...string) result {
	t.Helper()
	cmd, _ := e.kubectl(t, args...)
	cmd.Env = append(cmd.Env, e.env...)
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, &stdout, &stderr
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return result{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// exec is `kubectl exec POD -- COMMAND`. With an input it has the flag -i.
func (e *execs) exec(t *testing.T, stdin io.Reader, command ...string) result {
	t.Helper()
	args := []string{"exec", "-n", e.ns, e.pod}
	if stdin != nil {
		args = append(args, "-i")
	}
	return e.kubectlIn(t, stdin, append(append(args, "--"), command...)...)
}

func testExecCommands(t *testing.T, e *execs) {
	for _, test := range []struct {
		command []string
		want    result
	}{
		{[]string{"args", "a b", ""}, result{"args\na b\n\n", "", 0}},
		{[]string{"/bin/kitchen", "args", "c"}, result{"/bin/kitchen\nargs\nc\n", "", 0}},
		{[]string{"echo", "hello"}, result{"hello\n", "", 0}},
		{[]string{"exit", "7"}, result{"", "command terminated with exit code 7\n", 7}},
		{[]string{"exit", "255"}, result{"", "command terminated with exit code 255\n", 255}},
		{[]string{"warn", "careful"}, result{"", "[careful]\n", 0}},
		{[]string{"unheard-of"}, result{"", "kitchen: no command\ncommand terminated with exit code 2\n", 2}},
	} {
		if got := e.exec(t, nil, test.command...); got != test.want {
			t.Errorf("exec %q: %+v, want %+v", test.command, got, test.want)
		}
	}
	// The environment and the files are the container's.
	if env := e.exec(t, nil, "env"); !strings.Contains(env.stdout, "HOSTNAME=main\n") {
		t.Errorf("environment: %+v", env)
	}
	file := "/tmp/" + strings.ReplaceAll(t.Name(), "/", "-")
	e.exec(t, nil, "write", file, "kept")
	if got := e.exec(t, nil, "cat", file); got.stdout != "kept" {
		t.Errorf("a file of another command: %+v", got)
	}
	if log := e.cluster.Kubectl(t, "logs", "-n", e.ns, e.pod); log != "sleeping\n" {
		t.Errorf("commands print into the container's log: %q", log)
	}
}

func testExecStreams(t *testing.T, e *execs) {
	if got := e.exec(t, strings.NewReader("some\ninput"), "cat"); got != (result{stdout: "some\ninput"}) {
		t.Errorf("cat: %+v", got)
	}
	if got := e.exec(t, strings.NewReader(""), "stdin"); got != (result{stdout: "0 bytes\n"}) {
		t.Errorf("an empty input: %+v", got)
	}
	// Without -i the input is empty.
	if got := e.exec(t, nil, "stdin"); got != (result{stdout: "0 bytes\n"}) {
		t.Errorf("no input: %+v", got)
	}
	// If a command does not read its input, it still ends, and its output arrives.
	if got := e.exec(t, io.LimitReader(endless{}, 8<<20), "echo", "done"); got.stdout != "done\n" || got.code != 0 {
		t.Errorf("an input that is not read: %+v", got)
	}
	// The answer to each line arrives before the next line is sent.
	cmd, _ := e.kubectl(t, "exec", "-i", "-n", e.ns, e.pod, "--", "cat")
	cmd.Env, cmd.Stdout = append(cmd.Env, e.env...), nil
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		line := fmt.Sprintf("line %d\n", i)
		_, _ = io.WriteString(in, line)
		got := make([]byte, len(line))
		if _, err := io.ReadFull(out, got); err != nil || string(got) != line {
			t.Errorf("%q, %v", got, err)
		}
	}
	_ = in.Close()
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

// endless is an endless stream of zeros.
type endless struct{}

func (endless) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// bigStream is the size of the data that goes through a command, in bytes.
const bigStream = 64 << 20

// testExecBig: no byte of a large stream is lost, with data in one direction and in both.
func testExecBig(t *testing.T, e *execs) {
	random := func() io.Reader { return io.LimitReader(rand.NewChaCha8([32]byte{1}), bigStream) }
	hash := sha256.New()
	_, _ = io.Copy(hash, random())
	want := fmt.Sprintf("%d %x\n", bigStream, hash.Sum(nil))

	if got := e.exec(t, random(), "sum"); got.stdout != want {
		t.Errorf("in: %+v, want %q", got, want)
	}
	cmd, _ := e.kubectl(t, "exec", "-i", "-n", e.ns, e.pod, "--", "cat")
	back := &counted{Writer: sha256.New()}
	var stderr bytes.Buffer
	cmd.Env = append(cmd.Env, e.env...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = random(), back, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v: %s", err, &stderr)
	}
	if got := fmt.Sprintf("%d %x\n", back.n, hash.Sum(nil)); got != want {
		t.Errorf("back: %q, want %q", got, want)
	}
}

type counted struct {
	io.Writer
	n int
}

func (c *counted) Write(p []byte) (int, error) {
	c.n += len(p)
	return c.Writer.Write(p)
}

// testExecGone: the command ends when its client disconnects, with an input and without.
func testExecGone(t *testing.T, e *execs) {
	file := "/tmp/" + strings.ReplaceAll(t.Name(), "/", "-")
	beats := func() string {
		got := e.exec(t, nil, "cat", file)
		if got.code != 0 {
			t.Fatalf("cat: %+v", got)
		}
		return got.stdout
	}
	for _, flags := range [][]string{nil, {"-i"}} {
		e.exec(t, nil, "write", file, "none")
		cmd, _ := e.kubectl(t, append(append([]string{"exec", "-n", e.ns, e.pod}, flags...), "--", "beat", file)...)
		cmd.Env = append(cmd.Env, e.env...)
		stdin, err := cmd.StdinPipe() // it stays open
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		testnode.Eventually(t, func() error {
			if now := beats(); now == "none" {
				return errors.New("the command has not begun")
			}
			return nil
		})
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait() // it was killed
		_ = stdin.Close()
		testnode.Eventually(t, func() error {
			if before, now := beats(), beats(); before != now {
				return fmt.Errorf("the command goes on: %s, %s", before, now)
			}
			return nil
		})
	}
}

// stream is client-go's exec with kubectl's time limit.
func (s *suite) stream(ctx context.Context, namespace, pod string, command []string, options remotecommand.StreamOptions) error {
	ctx, cancel := context.WithTimeout(ctx, kubectlTimeout)
	defer cancel()
	request := s.client().CoreV1().RESTClient().Post().Namespace(namespace).Resource("pods").Name(pod).SubResource("exec").
		VersionedParams(&corev1.PodExecOptions{
			Command: command, Stdin: options.Stdin != nil, Stdout: options.Stdout != nil, Stderr: options.Stderr != nil, TTY: options.Tty,
		}, scheme.ParameterCodec)
	executor, err := remotecommand.NewSPDYExecutor(s.cluster.Config(), "POST", request.URL())
	if err != nil {
		return err
	}
	return executor.StreamWithContext(ctx, options)
}

// testExecQuota: a command beyond the limit is refused, and the others continue. Probes have slots
// of their own.
func testExecQuota(t *testing.T, s *suite) {
	ns := s.cluster.Namespace(t)
	probed := s.pod("main", s.tiny)
	probed.Spec.Containers[0].ReadinessProbe = execProbe("main", "x")
	s.create(t, ns, probed)
	s.await(t, ns, "main", ready(true))
	scraper := s.scraper(t, ns)
	const most = 32
	ctx, cancel := context.WithTimeout(t.Context(), testnode.Patience)
	defer cancel()
	var clients sync.WaitGroup
	var up sync.WaitGroup
	for range most {
		up.Add(1)
		clients.Go(func() {
			out := &signal{first: sync.OnceFunc(up.Done)}
			defer out.first()
			_ = s.stream(ctx, ns, "main", []string{"main"}, remotecommand.StreamOptions{Stdout: out}) // ends with ctx
		})
	}
	up.Wait() // each has printed its line or failed
	err := s.stream(ctx, ns, "main", []string{"main", "x"}, remotecommand.StreamOptions{Stdout: io.Discard})
	if err == nil || !strings.Contains(err.Error(), `container "main" has 32 commands and attached clients, and may have no more`) {
		t.Errorf("one more: %v", err)
	}
	probes := func(result string) float64 {
		m := scraper.scrape(t, "/metrics/probes").lookup("prober_probe_total", map[string]string{"namespace": ns, "result": result})
		return m.GetCounter().GetValue()
	}
	before := probes("successful")
	testnode.Eventually(t, func() error {
		if n := probes("successful"); n < before+2 {
			return fmt.Errorf("%v probes succeeded, and %v before", n, before)
		}
		return nil
	})
	if n := probes("failed"); n > 0 {
		t.Errorf("%v probes failed", n)
	}
	cancel()
	clients.Wait()
	testnode.Eventually(t, func() error {
		return s.stream(t.Context(), ns, "main", []string{"main", "x"}, remotecommand.StreamOptions{Stdout: io.Discard})
	})
}

// signal calls first when data is written to it.
type signal struct{ first func() }

func (s *signal) Write(p []byte) (int, error) { s.first(); return len(p), nil }

// testExecEnd: a command ends with its container.
func testExecEnd(t *testing.T, s *suite) {
	ns := s.cluster.Namespace(t)
	pod := s.create(t, ns, s.pod("main", s.kitchen, "sleep"))
	s.awaitRunning(t, ns, "main")
	var up sync.WaitGroup
	up.Add(1)
	ended := make(chan error, 1)
	go func() {
		out := &signal{first: sync.OnceFunc(up.Done)}
		defer out.first()
		ended <- s.stream(t.Context(), ns, "main", []string{"sleep"}, remotecommand.StreamOptions{Stdout: out})
	}()
	up.Wait()
	s.delete(t, pod)
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "exit code 137") {
		t.Errorf("a command whose container ended: %v", err)
	}
	s.awaitGone(t, pod)
}

// testExecTerminal: a client with a terminal gets both outputs in one stream.
func testExecTerminal(t *testing.T, s *suite) {
	ns := s.cluster.Namespace(t)
	s.create(t, ns, s.pod("main", s.kitchen, "sleep"))
	s.awaitRunning(t, ns, "main")
	var out bytes.Buffer
	err := s.stream(t.Context(), ns, "main", []string{"each", "warn a", "echo b"}, remotecommand.StreamOptions{
		Stdin: strings.NewReader(""), Stdout: &out, Tty: true, TerminalSizeQueue: &sizes{left: 200},
	})
	if err != nil || out.String() != "$ warn a\r\n[a]\r\n$ echo b\r\nb\r\n" {
		t.Errorf("%q, %v", out.String(), err)
	}
	// The command reads whole lines. The user sees the typed characters, and ends the input or the
	// command with a key.
	out.Reset()
	err = s.stream(t.Context(), ns, "main", []string{"stdin"}, remotecommand.StreamOptions{
		Stdin: io.MultiReader(strings.NewReader("hallo\x7f\r\x04"), silence(t.Context().Done())), Stdout: &out, Tty: true,
	})
	if err != nil || out.String() != "hallo\b \b\r\n5 bytes\r\n" {
		t.Errorf("%q, %v", out.String(), err)
	}
	err = s.stream(t.Context(), ns, "main", []string{"spin"}, remotecommand.StreamOptions{
		Stdin: io.MultiReader(strings.NewReader("\x03"), silence(t.Context().Done())), Stdout: &out, Tty: true,
	})
	if err == nil || !strings.Contains(err.Error(), "exit code 130") {
		t.Errorf("interrupted: %v", err)
	}
}

// silence is a user who does not type anything.
type silence <-chan struct{}

func (s silence) Read([]byte) (int, error) { <-s; return 0, io.EOF }

// sizes are the sizes of a window that the user resizes again and again.
type sizes struct{ left uint16 }

func (s *sizes) Next() *remotecommand.TerminalSize {
	if s.left == 0 {
		return nil
	}
	s.left--
	return &remotecommand.TerminalSize{Width: s.left, Height: s.left}
}

// testExecNotRunning: if no command can run, the error says why.
func testExecNotRunning(t *testing.T, s *suite) {
	ns := s.cluster.Namespace(t)
	once := s.pod("once", s.tiny, "x")
	once.Spec.RestartPolicy = corev1.RestartPolicyAlways
	s.create(t, ns, once)
	s.await(t, ns, "once", func(p *corev1.Pod) error {
		if c := p.Status.ContainerStatuses; len(c) != 1 || c[0].RestartCount == 0 || c[0].State.Waiting == nil {
			return errors.New("not in back-off")
		}
		return nil
	})
	for name, value := range protocols {
		e := &execs{suite: s, ns: ns, pod: "once", env: []string{"KUBECTL_REMOTE_COMMAND_WEBSOCKETS=" + value}}
		got := e.exec(t, nil, "echo")
		if want := `container "main" in pod "once" does not run: it is waiting to start (CrashLoopBackOff)`; got.code == 0 || !strings.Contains(got.stderr, want) {
			t.Errorf("%s: %+v, want %q", name, got, want)
		}
	}
}
