package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"

	"github.com/krustlet-go/krustlet-wasi/hack/testnode"
)

// docs/security.md: "The agent opens the [ports of the node](networking.md#ports-of-the-node) that
// pods ask for"
func TestHostPorts(t *testing.T) {
	t.Parallel()
	s := newSuite(t, "")
	t.Run("Pods", func(t *testing.T) {
		for name, test := range map[string]func(*testing.T, *suite){
			"Everywhere": testHostPortEverywhere,
			"Taken":      testHostPortTaken,
			"Next":       testHostPortNext,
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				test(t, s)
			})
		}
	})
	testHostPortStays(t, s)
	testHostNetworkStays(t, s)
	testHostPortOfEnding(t, s)
}

// freePort is a port that is probably free on every address of the machine.
func freePort() int32 {
	return 20000 + rand.Int32N(10000) //nolint:gosec // no secret
}

func hostPort(ip string, port int32) string { return net.JoinHostPort(ip, strconv.Itoa(int(port))) }

// published is a pod that serves at a port of one of the node's addresses. No other program uses
// that address.
func (s *suite) published(t *testing.T, name string) (*corev1.Pod, string) {
	t.Helper()
	pod, ip := s.served(t, name, 18080), testnode.Address()
	pod.Spec.Containers[0].Ports[0].HostIP, pod.Spec.Containers[0].Ports[0].HostPort = ip, 18081
	return pod, net.JoinHostPort(ip, "18081")
}

// visit sends a request to a server, over a new connection.
func visit(at string) error {
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
	response, err := client.Get("http://" + at + "/x")
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || string(text) != "/x from descriptor 3\n" {
		return fmt.Errorf("%s says %q: %w", at, text, err)
	}
	return nil
}

// visits waits until a server answers: a pod runs a moment before it serves.
func visits(t *testing.T, at string) {
	t.Helper()
	testnode.Eventually(t, func() error { return visit(at) })
}

// testHostPortEverywhere: a port without an address is open on all addresses of the node, even if
// the pod's own port has the same number.
func testHostPortEverywhere(t *testing.T, s *suite) {
	port := freePort()
	pod := s.served(t, "everywhere", port)
	pod.Spec.Containers[0].Ports[0].HostPort = port
	ns := s.cluster.Namespace(t)
	pod = s.create(t, ns, pod)
	now := s.await(t, ns, pod.Name, ready(true))
	if now.Status.HostIP != s.node.IP || now.Status.PodIP == s.node.IP {
		t.Errorf("the pod has %s on %s", now.Status.PodIP, now.Status.HostIP)
	}
	for _, ip := range []string{s.node.IP, "127.0.0.1", now.Status.PodIP} {
		visits(t, hostPort(ip, port))
	}
}

// testHostPortTaken: if another program has a port, the pod waits for it and says so.
func testHostPortTaken(t *testing.T, s *suite) {
	ns := s.cluster.Namespace(t)
	pod, at := s.published(t, "taken")
	other, err := net.Listen("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	pod = s.create(t, ns, pod)
	s.awaitEvents(t, pod, "FailedCreatePodSandBox Failed to create pod sandbox: hostPort 18081: listen tcp "+at+": bind: address already in use")
	now, err := s.get(ns, pod.Name)
	if err != nil || now.Status.Phase != corev1.PodPending {
		t.Errorf("%v: the pod is %s", err, now.Status.Phase)
	}
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	s.await(t, ns, pod.Name, ready(true))
	visits(t, at)
}

// testHostPortNext: a pod waits for the end of another one, as in a Deployment with the strategy
// Recreate. Then it finds the port free. After its end a program finds the port free, too.
func testHostPortNext(t *testing.T, s *suite) {
	ns := s.cluster.Namespace(t)
	first, at := s.published(t, "first")
	next := first.DeepCopy()
	next.Name = "next"
	first = s.create(t, ns, first)
	s.await(t, ns, "first", ready(true))
	visits(t, at)
	kept, err := net.Dial("tcp", at) // an open connection does not block the port
	if err != nil {
		t.Fatal(err)
	}
	defer kept.Close()
	next = s.create(t, ns, next)
	s.delete(t, first)
	s.await(t, ns, "next", ready(true))
	visits(t, at)
	failed, err := s.client().CoreV1().Events(ns).List(context.Background(), metav1.ListOptions{
		FieldSelector: fields.Set{"reason": "FailedCreatePodSandBox", "involvedObject.uid": string(next.UID)}.String(),
	})
	if err != nil || len(failed.Items) > 0 {
		t.Errorf("%v: %+v", err, failed.Items)
	}
	s.delete(t, next)
	s.awaitGone(t, next)
	l, err := net.Listen("tcp", at)
	if err != nil {
		t.Fatalf("the port of a pod that is gone: %v", err)
	}
	_ = l.Close()
}

// testHostPortStays: the port stays open when the container restarts. It is closed without the
// agent, and open again with the next one. If another process has taken the port, the pod still
// runs and can restart. It gets the port again when the port is free.
func testHostPortStays(t *testing.T, s *suite) {
	ns := s.cluster.Namespace(t)
	pod, at := s.published(t, "stays")
	pod = s.create(t, ns, pod)
	s.await(t, ns, "stays", ready(true))
	visits(t, at)
	response, err := http.Get("http://" + at + "/quit")
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	s.await(t, ns, "stays", func(p *corev1.Pod) error {
		if p.Status.ContainerStatuses[0].RestartCount == 0 {
			return errors.New("not restarted")
		}
		return nil
	})
	visits(t, at)
	for _, end := range []func(testing.TB){s.node.Kill, s.node.Stop} {
		end(t)
		if err := visit(at); err == nil {
			t.Error("a process listens without an agent")
		}
		s.node.Start(t)
		s.node.WaitReady(t)
		visits(t, at)
		if now, err := s.get(ns, "stays"); err != nil || now.Status.ContainerStatuses[0].RestartCount != 1 {
			t.Errorf("%v: restarted with the agent: %+v", err, now.Status.ContainerStatuses)
		}
	}

	s.node.Kill(t)
	other, err := net.Listen("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	s.node.Start(t)
	s.awaitEvents(t, pod, "FailedCreatePodSandBox Failed to create pod sandbox: hostPort 18081: listen tcp "+at)
	now, err := s.get(ns, "stays")
	if err != nil || now.Status.Phase != corev1.PodRunning || ready(true)(now) != nil {
		t.Errorf("%v: without its port the pod is %+v", err, now.Status)
	}
	if response, err = http.Get("http://" + net.JoinHostPort(now.Status.PodIP, "18080") + "/quit"); err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	s.await(t, ns, "stays", func(p *corev1.Pod) error {
		if p.Status.ContainerStatuses[0].RestartCount != 2 {
			return errors.New("not restarted")
		}
		return ready(true)(p)
	})
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	visits(t, at)
}

// testHostNetworkStays: a pod in the host's network serves on every address of the node. Without
// the agent it serves only on the node's own address. With the next agent it serves on every
// address again. After its end a program finds the port free.
func testHostNetworkStays(t *testing.T, s *suite) {
	ns := s.cluster.Namespace(t)
	port := freePort()
	pod := s.served(t, "host", port)
	pod.Spec.HostNetwork = true
	pod = s.create(t, ns, pod)
	if now := s.await(t, ns, "host", ready(true)); now.Status.PodIP != s.node.IP {
		t.Errorf("the pod has %s", now.Status.PodIP)
	}
	own, local := hostPort(s.node.IP, port), hostPort("127.0.0.1", port)
	visits(t, own)
	visits(t, local)

	s.node.Kill(t)
	if err := visit(own); err != nil {
		t.Errorf("without the agent: %v", err)
	}
	if err := visit(local); err == nil {
		t.Error("a process listens without an agent")
	}
	s.node.Start(t)
	s.node.WaitReady(t)
	visits(t, local)
	visits(t, own)
	if now, err := s.get(ns, "host"); err != nil || now.Status.ContainerStatuses[0].RestartCount != 0 {
		t.Errorf("%v: restarted with the agent: %+v", err, now.Status.ContainerStatuses)
	}

	s.delete(t, pod)
	s.awaitGone(t, pod)
	l, err := net.Listen("tcp", hostPort("", port))
	if err != nil {
		t.Fatalf("the port of a pod that is gone: %v", err)
	}
	_ = l.Close()
}

// testHostPortOfEnding: the next agent also listens for a deleted pod whose grace period has not
// ended.
func testHostPortOfEnding(t *testing.T, s *suite) {
	ns := s.cluster.Namespace(t)
	pod, at := s.published(t, "ending")
	grace := int64(120)
	pod.Spec.TerminationGracePeriodSeconds = &grace
	pod.Spec.Containers[0].Lifecycle = &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{Sleep: &corev1.SleepAction{Seconds: grace}}}
	pod = s.create(t, ns, pod)
	s.await(t, ns, "ending", ready(true))
	visits(t, at)
	s.delete(t, pod)
	s.node.Kill(t)
	s.node.Start(t)
	visits(t, at)
	if now, err := s.get(ns, "ending"); err != nil || now.DeletionTimestamp == nil {
		t.Errorf("%v: the pod is not about to end: %+v", err, now)
	}
}
