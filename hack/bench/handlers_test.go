package bench

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/krustlet-go/krustlet-wasi/hack/guests"
)

// How many handlers a node has in BenchmarkHandlers, if the variable does not say it; how many of
// them are made at a time; and how many get a request.
const (
	handlers         = 500
	handlersVariable = "BENCH_HANDLERS"
	handlersAtATime  = 500
	handlersAsked    = 200
	handlersRest     = 150 * time.Second // Go looks every two minutes for memory that it does not use
)

func handlerModule(b *testing.B) []byte {
	b.Helper()
	module, err := os.ReadFile(guests.Component(b, "http-hello-0.2"))
	if err != nil {
		b.Fatal(err)
	}
	return module
}

func BenchmarkHandlers(b *testing.B) {
	n := handlers
	if text := os.Getenv(handlersVariable); text != "" {
		var err error
		if n, err = strconv.Atoi(text); err != nil {
			b.Fatalf("variable %s: %v", handlersVariable, err)
		}
	}
	f := unjoinedField(b, "--max-pods", strconv.Itoa(n+10))
	const cidr = "127.200.0.0/15" // the cluster gives a node 1022 addresses
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: f.node.Name}, Spec: corev1.NodeSpec{PodCIDR: cidr, PodCIDRs: []string{cidr}}}
	if _, err := f.client.CoreV1().Nodes().Create(context.Background(), node, metav1.CreateOptions{}); err != nil {
		b.Fatal(err)
	}
	f.node.Join(b)
	seen := observe(b, f.watcher, f.namespace)
	for made := 0; made < n; made += handlersAtATime {
		var pods []*corev1.Pod
		for range min(handlersAtATime, n-made) {
			pod := f.pod(f.handler, true)
			pod.Spec.Containers[0].Ports = []corev1.ContainerPort{{Name: "http", ContainerPort: 8080}}
			pods = append(pods, pod)
		}
		f.start(b, seen, pods...)
	}
	f.calmDown(b)
	time.Sleep(handlersRest) // the measurement is about nodes that rest
	list, err := f.client.CoreV1().Pods(f.namespace).List(context.Background(), metav1.ListOptions{})
	if err != nil {
		b.Fatal(err)
	}
	agent := resident(b, f.node.Process().PID())
	all := agent
	for _, w := range f.node.Workers(b) {
		all += resident(b, w.PID)
	}
	var total, most time.Duration
	asked := 0
	for b.Loop() {
		for i := range min(n, handlersAsked) {
			took := firstByte(b, list.Items[i*max(n/handlersAsked, 1)].Status.PodIP)
			total, most, asked = total+took, max(most, took), asked+1
		}
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(all>>10)/float64(n), "KB/pod")
	b.ReportMetric(float64(all>>20), "MB")
	b.ReportMetric(float64(agent>>20), "agent-MB")
	b.ReportMetric(milliseconds(total)/float64(asked), "first-ms")
	b.ReportMetric(milliseconds(most), "first-max-ms")
}

// firstByte is the time until an answer begins. Each guest has its first request, as long as the
// loop has one round.
func firstByte(b *testing.B, ip string) time.Duration {
	b.Helper()
	c, err := net.Dial("tcp", net.JoinHostPort(ip, "8080"))
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if err := c.SetDeadline(time.Now().Add(roundTimeout)); err != nil {
		b.Fatal(err)
	}
	began := time.Now()
	if _, err := fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", ip); err != nil {
		b.Fatal(err)
	}
	line, err := bufio.NewReader(c).ReadString('\n')
	took := time.Since(began)
	if err != nil || line != "HTTP/1.1 200 OK\r\n" {
		b.Fatalf("the answer of %s begins with %q: %v", ip, line, err)
	}
	return took
}
