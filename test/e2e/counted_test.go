package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	stats "k8s.io/kubelet/pkg/apis/stats/v1alpha1"

	"github.com/krustlet-go/krustlet-wasi/hack/testnode"
)

// TestCounted: guests do a known number of things. The node reports the same numbers, also after
// guests have ended and agents have been replaced.
func TestCounted(t *testing.T) {
	t.Parallel()
	s := newSuite(t, "")
	ns := s.cluster.Namespace(t)
	s.create(t, ns, s.served(t, "serves", 18080))
	c := &figures{suite: s, ns: ns, scraper: s.scraper(t, ns)}

	s.create(t, ns, s.pod("looks", s.kitchen, looks(30, "sleep")...))
	c.looked(t, 30)
	once := s.pod("once", s.kitchen, looks(7)...)
	once.Spec.RestartPolicy = corev1.RestartPolicyNever
	s.create(t, ns, once)
	s.awaitPhase(t, ns, "once", corev1.PodSucceeded)
	s.cluster.Kubectl(t, append([]string{"exec", "-n", ns, "looks", "--", "kitchen"}, looks(5)...)...)
	c.looked(t, 42)

	c.talk(t, "/x")
	c.talk(t, "/quit") // the container restarts
	s.await(t, ns, "serves", func(p *corev1.Pod) error {
		if c := p.Status.ContainerStatuses[0]; c.RestartCount != 1 || c.State.Running == nil {
			return errors.New("the container was not restarted")
		}
		return nil
	})
	c.told(t)
	c.talk(t, "/y")

	for _, end := range []func(testing.TB){s.node.Stop, s.node.Kill} {
		end(t)
		s.node.Start(t)
		s.node.WaitReady(t)
		c.looked(t, 0) // counters start at 0 with each agent, regardless of earlier calls
		s.cluster.Kubectl(t, append([]string{"exec", "-n", ns, "looks", "--", "kitchen"}, looks(3)...)...)
		c.looked(t, 3)
		c.told(t) // the figures of a pod outlive the agent
		c.talk(t, "/z")
	}
}

// looks returns arguments for the kitchen that make it call path_filestat_get n times. Nothing else
// in the kitchen calls that function. more are the commands after that.
func looks(n int, more ...string) []string {
	return append(append([]string{"each"}, slices.Repeat([]string{"stat /"}, n)...), more...)
}

// figures is what TestCounted compares.
type figures struct {
	*suite
	ns             string
	scraper        *scraper
	sent, received uint64 // by the pod "serves"
}

// looked waits until the node reports this number of calls of path_filestat_get.
func (c *figures) looked(t *testing.T, want float64) {
	t.Helper()
	testnode.Eventually(t, func() error {
		page := c.scraper.scrape(t, "/metrics")
		m := page.find(t, "krustlet_wasi_host_calls_total", map[string]string{"function": "path_filestat_get"})
		if got := m.GetCounter().GetValue(); got != want {
			return fmt.Errorf("guests have looked at files %g times, want %g", got, want)
		}
		return nil
	})
}

// talk requests a path from the pod, and waits until the node reports the bytes.
func (c *figures) talk(t *testing.T, path string) {
	t.Helper()
	pod := c.awaitPhase(t, c.ns, "serves", corev1.PodRunning)
	var conn net.Conn
	testnode.Eventually(t, func() (err error) { // it runs a moment before it serves
		conn, err = net.Dial("tcp", net.JoinHostPort(pod.Status.PodIP, "18080"))
		return err
	})
	defer conn.Close()
	n, err := fmt.Fprintf(conn, "GET %s HTTP/1.0\r\n\r\n", path)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil || len(answer) == 0 {
		t.Fatalf("%q, %v", answer, err)
	}
	c.received, c.sent = c.received+uint64(n), c.sent+uint64(len(answer))
	c.told(t)
}

// told waits until the summary and the cAdvisor page report all bytes that went through the pod's
// connections.
func (c *figures) told(t *testing.T) {
	t.Helper()
	pod := map[string]string{"namespace": c.ns, "pod": "serves", "interface": "eth0"}
	testnode.Eventually(t, func() error {
		var summary stats.Summary
		if err := json.Unmarshal(c.scraper.get(t, "/stats/summary"), &summary); err != nil {
			return err
		}
		serves := podStats(summary, c.ns, "serves")
		if serves == nil || serves.Network == nil {
			return errors.New("the summary has no network of the pod")
		}
		if rx, tx := *serves.Network.RxBytes, *serves.Network.TxBytes; rx != c.received || tx != c.sent {
			return fmt.Errorf("received %d and sent %d bytes, want %d and %d", rx, tx, c.received, c.sent)
		}
		page := c.scraper.scrape(t, "/metrics/cadvisor")
		rx, tx := page.lookup("container_network_receive_bytes_total", pod), page.lookup("container_network_transmit_bytes_total", pod)
		if rx == nil || tx == nil || value(rx) != float64(c.received) || value(tx) != float64(c.sent) {
			return fmt.Errorf("cAdvisor's metrics: %v, %v, want %d and %d", rx, tx, c.received, c.sent)
		}
		return nil
	})
	if other := c.scraper.scrape(t, "/metrics/cadvisor").find(t, "container_memory_working_set_bytes", map[string]string{
		"namespace": c.ns, "pod": "looks", "container": "main", "image": c.kitchen,
	}); value(other) < 1<<20 || label(other, "name") == "" {
		t.Errorf("the memory of a container: %v", other)
	}
}
