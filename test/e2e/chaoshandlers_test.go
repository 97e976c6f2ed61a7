package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/krustlet-go/krustlet-wasi/hack/testnode"
)

// visitor sends requests to a handler, one after another, while agents and workers are killed. Only
// a request to a container that is then replaced may fail.
type visitor struct {
	*chaos
	pod    *corev1.Pod
	two    bool // HTTP/2
	leave  context.CancelFunc
	sent   int
	failed error // the last request, if it has failed

	mu        sync.Mutex
	ip        string
	container string   // its ID
	answered  []string // requests that this container has answered
	all       int      // requests that were answered
}

// handler makes a pod into a handler.
func (c *chaos) handler(pod *corev1.Pod, image string) {
	pod.Annotations = map[string]string{"krustlet-wasi.dev/http-access-log": "true"}
	main := &pod.Spec.Containers[0]
	main.Image, main.Args = image, nil
	main.Ports = []corev1.ContainerPort{{Name: "http", ContainerPort: handlerPort}}
}

// visit sends requests to a pod until leave is called. Then it waits until nothing listens at the
// pod's address any more.
func (c *chaos) visit(pod *corev1.Pod, two bool) {
	ctx, cancel := context.WithCancel(context.Background())
	c.t.Cleanup(cancel)
	v := &visitor{chaos: c, pod: pod, two: two, leave: cancel}
	c.visitors[pod.UID] = v
	c.visits.Go(func() {
		transport := &http.Transport{Protocols: new(http.Protocols)}
		transport.Protocols.SetHTTP1(!two)
		transport.Protocols.SetUnencryptedHTTP2(two)
		client := &http.Client{Transport: transport, Timeout: testnode.Patience}
		for v.find(ctx) {
			v.failed = v.talk(ctx, client)
			if ctx.Err() == nil {
				c.cutOff.Add(1)
			}
			transport.CloseIdleConnections()
		}
		v.refused()
	})
}

// find waits until the pod is Ready in another container than before. It is false if the visitor
// has to leave.
func (v *visitor) find(ctx context.Context) bool {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(testnode.Patience); ; {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return false
		}
		now, err := v.get(v.ns, v.pod.Name)
		if err == nil {
			err = ready(true)(now)
		}
		if err == nil && now.Status.ContainerStatuses[0].ContainerID == v.container {
			err = errors.New("it has the same container")
		}
		if err == nil {
			v.mu.Lock()
			v.ip, v.container, v.answered = now.Status.PodIP, now.Status.ContainerStatuses[0].ContainerID, nil
			v.mu.Unlock()
			return true
		}
		if ctx.Err() == nil && time.Now().After(deadline) {
			v.t.Errorf("pod %s, after the request that failed with %v: %v", v.pod.Name, v.failed, err)
			return false
		}
	}
}

// talk sends requests until one fails.
func (v *visitor) talk(ctx context.Context, client *http.Client) error {
	for {
		path, want := "/echo/", fmt.Sprintf("request %d", v.sent)
		if v.sent%2 == 1 {
			path, want = "/late30/", "hello\n"
		}
		name, text := letters(v.sent), fmt.Sprintf("request %d", v.sent)
		v.sent++ // also if it fails: no two requests have the same name
		if err := ask(ctx, client, "http://"+hostPort(v.ip, handlerPort)+path+name, text, want); err != nil {
			return err
		}
		v.mu.Lock()
		v.answered = append(v.answered, name)
		v.all++
		v.mu.Unlock()
		v.chaos.answered.Add(1)
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// letters is a number in letters, as the kitchen takes digits of a path for itself.
func letters(n int) string {
	return strings.Map(func(r rune) rune { return r - '0' + 'a' }, fmt.Sprint(n))
}

// ask sends a text and checks the answer. The client does not repeat a POST that has been sent.
func ask(ctx context.Context, client *http.Client, url, text, want string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(text))
	if err != nil {
		return err
	}
	answer, err := client.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	got, err := io.ReadAll(answer.Body)
	if err == nil && (answer.StatusCode != http.StatusOK || string(got) != want) {
		err = fmt.Errorf("%s answers %s %q, want %q", url, answer.Status, got, want)
	}
	return err
}

// refused waits until nothing listens at the address of a pod that is gone, or until another pod
// has the address.
func (v *visitor) refused() {
	if v.ip == "" {
		return // it has never been ready
	}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(testnode.Patience); time.Now().Before(deadline); <-tick.C {
		if v.t.Failed() {
			return // the pod may still be there
		}
		connection, err := net.Dial("tcp", hostPort(v.ip, handlerPort))
		if errors.Is(err, syscall.ECONNREFUSED) {
			return
		}
		if err == nil {
			_ = connection.Close()
		}
		list, err := v.client().CoreV1().Pods(v.ns).List(context.Background(), metav1.ListOptions{})
		if err != nil {
			continue
		}
		for _, other := range list.Items {
			if other.UID != v.pod.UID && other.Status.PodIP == v.ip {
				return
			}
		}
	}
	v.t.Errorf("pod %s is gone, and something listens at %s", v.pod.Name, hostPort(v.ip, handlerPort))
}

// answers waits until the handler has answered more.
func (v *visitor) answers() {
	v.t.Helper()
	count := func() int {
		v.mu.Lock()
		defer v.mu.Unlock()
		return v.all
	}
	before := count()
	testnode.Eventually(v.t, func() error {
		if count() < before+3 {
			return fmt.Errorf("pod %s does not answer", v.pod.Name)
		}
		return nil
	})
}

// accessLine is what the access log says of a visitor's request.
var accessLine = regexp.MustCompile(` POST /(?:echo|late30)/([a-j]+) HTTP/`)

// checkAccess checks that no request is in the log twice, and that all that the present container
// has answered are there.
func (v *visitor) checkAccess() {
	v.t.Helper()
	testnode.Eventually(v.t, func() error {
		v.mu.Lock()
		container, answered := v.container, v.answered
		v.mu.Unlock()
		logged := v.logged()
		now, err := v.get(v.ns, v.pod.Name)
		if err != nil {
			return err
		}
		if s := now.Status.ContainerStatuses; len(s) != 1 || s[0].ContainerID != container {
			return fmt.Errorf("pod %s: the visitor has not seen the present container", v.pod.Name)
		}
		for _, name := range answered {
			if !logged[name] {
				return fmt.Errorf("pod %s: request %s was answered, and is not in the log", v.pod.Name, name)
			}
		}
		return nil
	})
}

// logged are the requests that the pod's logs have.
func (v *visitor) logged() map[string]bool {
	v.t.Helper()
	files, err := filepath.Glob(filepath.Join(v.node.DataDir, "logs", "*_"+string(v.pod.UID), "main", "*.log"))
	if err != nil || len(files) == 0 {
		v.t.Fatalf("pod %s has no logs: %v", v.pod.Name, err)
	}
	found := map[string]bool{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // older logs may be removed
		}
		for _, match := range accessLine.FindAllSubmatch(text, -1) {
			name := string(match[1])
			if found[name] {
				v.t.Fatalf("pod %s: request %s is in the log twice", v.pod.Name, name)
			}
			found[name] = true
		}
	}
	return found
}
