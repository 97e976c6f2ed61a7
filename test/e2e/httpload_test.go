package e2e

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/krustlet-go/krustlet-wasi/hack/testnode"
)

// load is clients that send requests to some targets: each one after another, half of them by
// HTTP/1.1 and half by HTTP/2. They keep their connections, and repeat no request that a server may
// have seen.
type load struct {
	pause   time.Duration // of each client, after each request
	cancel  context.CancelFunc
	clients sync.WaitGroup

	mu      sync.Mutex
	targets []string       // host:port
	good    map[string]int // answers, by target
	bad     []string
	change  chan struct{} // closed and replaced when the targets change
}

// newLoad starts clients that make no pauses. end ends them.
func newLoad(t *testing.T, targets ...string) *load {
	t.Helper()
	return newSlowLoad(t, 0, targets...)
}

// newSlowLoad starts clients. They wait for the first targets. end ends them.
func newSlowLoad(t *testing.T, pause time.Duration, targets ...string) *load {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	l := &load{pause: pause, cancel: cancel, targets: targets, good: map[string]int{}, change: make(chan struct{})}
	for i := range 4 {
		l.clients.Go(func() { l.run(ctx, i%2 == 1) })
	}
	t.Cleanup(func() {
		cancel()
		l.clients.Wait()
	})
	return l
}

// run sends requests until ctx ends. The last one is not cut off.
func (l *load) run(ctx context.Context, two bool) {
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetHTTP1(!two)
	transport.Protocols.SetUnencryptedHTTP2(two)
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: testnode.Patience}
	for n := 0; ctx.Err() == nil; n++ {
		to, change := l.target()
		if to == "" {
			select {
			case <-change:
			case <-ctx.Done():
			}
			continue
		}
		began := time.Now()
		path, text, want := "/echo", fmt.Sprintf("request %d", n), fmt.Sprintf("request %d", n)
		if n%4 == 3 {
			path, text, want = "/late50", "", "hello\n"
		}
		err := post(client, to+path, text, want)
		l.mu.Lock()
		if err != nil {
			l.bad = append(l.bad, fmt.Sprintf("HTTP/2 %v, at %s, for %v: %v", two, began.Format(time.StampMilli), time.Since(began), err))
		} else {
			l.good[to]++
		}
		l.mu.Unlock()
		pause := l.pause
		if err != nil {
			pause += 20 * time.Millisecond // nothing may listen there for a while
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
	}
}

// post sends a text and checks the answer. The client does not repeat a POST that has been sent.
func post(client *http.Client, to, text, want string) error {
	answer, err := client.Post("http://"+to, "text/plain", strings.NewReader(text))
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	got, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK || string(got) != want {
		return fmt.Errorf("%s answers %s %q, want %q, %v", to, answer.Status, got, want, err)
	}
	return nil
}

// target is one of the targets by chance, or empty. The channel is closed when there are others.
func (l *load) target() (string, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.targets) == 0 {
		return "", l.change
	}
	return l.targets[rand.IntN(len(l.targets))], l.change //nolint:gosec // no secret
}

func (l *load) retarget(targets []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.targets = targets
	close(l.change)
	l.change = make(chan struct{})
}

// answered is how many requests were answered, and by how many targets.
func (l *load) answered() (requests, targets int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, n := range l.good {
		requests += n
	}
	return requests, len(l.good)
}

// more waits for so many more answers.
func (l *load) more(t *testing.T, n int) {
	t.Helper()
	before, _ := l.answered()
	testnode.Eventually(t, func() error {
		if now, _ := l.answered(); now < before+n {
			return fmt.Errorf("%d answers, want %d", now-before, n)
		}
		return nil
	})
}

// end waits for the last answers, and returns what went wrong.
func (l *load) end() (bad []string) {
	l.cancel()
	l.clients.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.bad
}

// lost fails the test if a request got no answer, or a wrong one.
func (l *load) lost(t *testing.T) {
	t.Helper()
	bad := l.end()
	requests, targets := l.answered()
	t.Logf("%d requests were answered by %d targets", requests, targets)
	if len(bad) > 0 {
		t.Errorf("%d of %d requests are lost:\n%s", len(bad), requests+len(bad), strings.Join(bad[:min(len(bad), 20)], "\n"))
	}
}

// follow makes the ready endpoints of a Service the targets, as kube-proxy does on a client's node,
// until the test ends. The clients learn of each change so much later.
func (l *load) follow(t *testing.T, client kubernetes.Interface, ns, service string, late time.Duration) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	watch, err := client.DiscoveryV1().EndpointSlices(ns).Watch(ctx, metav1.ListOptions{LabelSelector: discoveryv1.LabelServiceName + "=" + service})
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	type news struct {
		due     time.Time
		targets []string
	}
	all := make(chan news, 1000)
	var followers sync.WaitGroup
	t.Cleanup(followers.Wait)
	t.Cleanup(watch.Stop)
	t.Cleanup(cancel)
	followers.Go(func() {
		defer close(all)
		for event := range watch.ResultChan() {
			if slice, ok := event.Object.(*discoveryv1.EndpointSlice); ok {
				all <- news{time.Now().Add(late), endpoints(slice)}
			}
		}
	})
	followers.Go(func() {
		for n := range all {
			select {
			case <-time.After(time.Until(n.due)):
			case <-ctx.Done():
			}
			l.retarget(n.targets)
		}
	})
}

// endpoints are the addresses of the ready endpoints of a slice with one port.
func endpoints(slice *discoveryv1.EndpointSlice) (all []string) {
	if len(slice.Ports) != 1 || slice.Ports[0].Port == nil {
		return nil
	}
	for _, e := range slice.Endpoints {
		if e.Conditions.Ready == nil || *e.Conditions.Ready {
			all = append(all, hostPort(e.Addresses[0], *slice.Ports[0].Port))
		}
	}
	return all
}

// handlerPort is where the handlers of these tests are served. Each pod has its own address.
const handlerPort = 8080

// handlerProbe asks a path of a handler.
func handlerProbe(path string) *corev1.Probe {
	return &corev1.Probe{
		ProbeHandler:  corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: path, Port: portNamed("http")}},
		PeriodSeconds: 1, TimeoutSeconds: 20, FailureThreshold: 1,
	}
}

// handler is a pod whose image is an HTTP handler.
func (s *suite) handler(name, image string) *corev1.Pod {
	pod := s.pod(name, image)
	c := &pod.Spec.Containers[0]
	c.Ports = []corev1.ContainerPort{{Name: "http", ContainerPort: handlerPort}}
	c.ReadinessProbe = handlerProbe("/hello")
	return pod
}
