package kubeletapi

import (
	"errors"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	stats "k8s.io/kubelet/pkg/apis/stats/v1alpha1"
)

// TestCadvisorMetrics checks that the page has the names and labels that dashboards use.
func TestCadvisorMetrics(t *testing.T) {
	at := time.UnixMilli(1_700_000_100_123)
	f := fakeStats{pods: func(disks bool) []stats.PodStats {
		if disks {
			t.Error("disks were asked for")
		}
		pods := onePod(at, 1500*time.Millisecond, 65536)
		pods[0].Containers[0].Memory.UsageBytes = count(65537)
		moved := stats.InterfaceStats{Name: "eth0", RxBytes: count(10), RxErrors: count(1), TxBytes: count(20), TxErrors: count(2)}
		pods[0].Network = &stats.NetworkStats{Time: metav1.NewTime(at), InterfaceStats: moved, Interfaces: []stats.InterfaceStats{moved}}
		namesake := onePod(at, time.Minute, 1)
		unknown := onePod(at, time.Second, 1)
		unknown[0].PodRef = stats.PodReference{Namespace: "ns", Name: "q", UID: "u2"}
		return append(append(pods, namesake...), unknown...)
	}}
	f.node.CPU, f.node.Memory = use(at, time.Hour, 1<<30)
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "p", UID: "u"}, Status: corev1.PodStatus{
		ContainerStatuses: []corev1.ContainerStatus{{Name: "c", Image: "example.com/app:1", ContainerID: "wasmtime://u_c_0"}},
	}}
	s := newServer(t, func(c *Config) { c.Stats, c.Pods = f, podList{pod} })
	page := serve(s, "GET", "/metrics/cadvisor", "u").Body.String()
	const c = `container="c",`
	const of = `id="",image="example.com/app:1",name="u_c_0",namespace="ns",pod="p"}`
	const net = `{container="",id="",image="",interface="eth0",name="",namespace="ns",pod="p"}`
	for _, want := range []string{
		`container_cpu_usage_seconds_total{` + c + `cpu="total",` + of + ` 1.5 1700000100123`,
		`container_memory_working_set_bytes{` + c + of + ` 65536 1700000100123`,
		`container_memory_usage_bytes{` + c + of + ` 65537 1700000100123`,
		`container_start_time_seconds{` + c + of + ` 1.7000000005e+09`,
		`container_network_receive_bytes_total` + net + ` 10 1700000100123`,
		`container_network_receive_errors_total` + net + ` 1 1700000100123`,
		`container_network_transmit_bytes_total` + net + ` 20 1700000100123`,
		`container_network_transmit_errors_total` + net + ` 2 1700000100123`,
		`container_cpu_usage_seconds_total{container="",cpu="total",id="/",image="",name="",namespace="",pod=""} 3600 1700000100123`,
		`container_memory_working_set_bytes{container="",id="/",image="",name="",namespace="",pod=""} 1.073741824e+09 1700000100123`,
		`container_cpu_usage_seconds_total{container="c",cpu="total",id="",image="",name="",namespace="ns",pod="q"} 1 1700000100123`,
		`container_scrape_error 0`,
		`# TYPE container_network_receive_bytes_total counter`,
	} {
		if strings.Count(page, want+"\n") != 1 {
			t.Errorf("not one line %q in:\n%s", want, page)
		}
	}
	if n := strings.Count(page, `pod="p"`); n != 8 {
		t.Errorf("%d lines of the pod, want 8:\n%s", n, page)
	}
	f.node, f.err = stats.NodeStats{}, errors.New("no /proc")
	s = newServer(t, func(c *Config) { c.Stats = f })
	if page := serve(s, "GET", "/metrics/cadvisor", "u").Body.String(); !strings.Contains(page, "container_scrape_error 1\n") || strings.Contains(page, `id="/"`) || !strings.Contains(page, `pod="p"`) {
		t.Errorf("without the node's use:\n%s", page)
	}
}
