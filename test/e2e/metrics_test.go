package e2e

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	stats "k8s.io/kubelet/pkg/apis/stats/v1alpha1"

	"github.com/krustlet-go/krustlet-wasi/hack/testnode"
)

// TestMetrics reads what nodes and pods use, by every way that users have. Meanwhile one guest
// computes, one holds memory, and one sleeps.
func TestMetrics(t *testing.T) {
	t.Parallel()
	traces := newCollector(t)
	s := newSuite(t, "", "--tracing-endpoint", traces.address)
	s.cluster.StartMetricsServer(t)
	ns := s.cluster.Namespace(t)
	s.create(t, ns, s.limited("spins", "200m", "64Mi", "spin"))
	holds := s.pod("holds", s.kitchen, "alloc", "100", "keep")
	mount(holds, "data", "/data", corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}})
	s.hostClaim(t, ns, "claim")
	mount(holds, "claimed", "/claimed", corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "claim"}})
	s.create(t, ns, holds)
	asked := s.limited("asked", "100m", "32Mi", "sleep")
	asked.Spec.Containers[0].ReadinessProbe = execProbe("kitchen", "exit", "0")
	asked.Spec.Containers[0].LivenessProbe = execProbe("kitchen", "exit", "0")
	s.create(t, ns, asked)
	greedy := s.limited("greedy", "100m", "16Mi", "alloc", "64")
	greedy.Spec.RestartPolicy = corev1.RestartPolicyNever
	s.create(t, ns, greedy)
	unknown := s.pod("unknown", s.tiny, "exits") // the only image here that is not compiled yet
	unknown.Spec.RestartPolicy = corev1.RestartPolicyNever
	s.create(t, ns, unknown)
	for _, name := range []string{"spins", "holds", "asked"} {
		s.awaitPhase(t, ns, name, corev1.PodRunning)
	}
	s.awaitPhase(t, ns, "greedy", corev1.PodFailed)
	s.awaitPhase(t, ns, "unknown", corev1.PodSucceeded)
	page := s.scraper(t, ns)
	for name, test := range map[string]func(*testing.T, *suite, string, *scraper){
		"Top":      testTop,
		"Resource": testResourceMetrics,
		"Pages":    testMetricsPages,
		"Summary":  testSummary,
		"Rights":   testMetricsRights,
		"HTTP":     testHTTPTop,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, s, ns, page)
		})
	}
	t.Run("Traces", func(t *testing.T) {
		t.Parallel()
		testTraces(t, traces, ns)
	})
}

// limited is a pod with the kitchen guest and limits.
func (s *suite) limited(name, cpu, memory string, args ...string) *corev1.Pod {
	pod := s.pod(name, s.kitchen, args...)
	pod.Spec.Containers[0].Resources.Limits = corev1.ResourceList{
		corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse(memory),
	}
	return pod
}

// hostClaim makes a claim and its volume, which is a directory of the host.
func (s *suite) hostClaim(t *testing.T, ns, name string) {
	t.Helper()
	ctx, client, none := context.Background(), s.client().CoreV1(), ""
	size := corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}
	modes := []corev1.PersistentVolumeAccessMode{corev1.ReadWriteMany}
	volume := &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: ns + "-" + name}, Spec: corev1.PersistentVolumeSpec{
		Capacity: size, AccessModes: modes, ClaimRef: &corev1.ObjectReference{Namespace: ns, Name: name},
		PersistentVolumeSource: corev1.PersistentVolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: hostDir(t)}},
	}}
	if _, err := client.PersistentVolumes().Create(ctx, volume, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.PersistentVolumes().Delete(ctx, volume.Name, metav1.DeleteOptions{}) })
	claim := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.PersistentVolumeClaimSpec{
		AccessModes: modes, StorageClassName: &none, VolumeName: volume.Name, Resources: corev1.VolumeResourceRequirements{Requests: size},
	}}
	if _, err := client.PersistentVolumeClaims(ns).Create(ctx, claim, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// within returns an error if a figure is out of bounds.
func within(what string, got, least, most float64) error {
	if got < least || got > most {
		return fmt.Errorf("%s: %g, want %g to %g", what, got, least, most)
	}
	return nil
}

// testTop: `kubectl top` shows the guests' use, with the help of metrics-server.
func testTop(t *testing.T, s *suite, ns string, _ *scraper) {
	var last string
	testnode.Eventually(t, func() error {
		cmd, out := s.kubectl(t, "top", "pod", "-n", ns, "--no-headers")
		err := cmd.Run()
		last = out.String()
		if err != nil {
			return fmt.Errorf("%w: %s", err, last)
		}
		used := map[string][2]float64{}
		for line := range strings.Lines(last) {
			if f := strings.Fields(line); len(f) == 3 {
				cpu, memory := resource.MustParse(f[1]), resource.MustParse(f[2])
				used[f[0]] = [2]float64{float64(cpu.MilliValue()), float64(memory.Value() >> 20)}
			}
		}
		if len(used) != 3 {
			return fmt.Errorf("not the three pods that run:\n%s", last)
		}
		// On a busy machine the guest gets less than its limit.
		return errors.Join(
			within("milli-cores of the guest that computes", used["spins"][0], 10, 230),
			within("milli-cores of the guest that holds memory", used["holds"][0], 0, 30),
			within("mebibytes of the guest that holds 100", used["holds"][1], 100, 160),
			within("mebibytes of the guest that computes", used["spins"][1], 1, 32))
	})
	t.Logf("kubectl top pod:\n%s", last)
	containers := s.cluster.Kubectl(t, "top", "pod", "spins", "-n", ns, "--containers", "--no-headers")
	if f := strings.Fields(containers); len(f) != 4 || f[1] != "main" {
		t.Errorf("top pod --containers: %s", containers)
	}
	node := s.cluster.Kubectl(t, "top", "node", s.node.Name, "--no-headers")
	f := strings.Fields(node)
	if len(f) != 5 || f[1] == "0m" || f[3] == "0Mi" || !strings.HasSuffix(f[2], "%") || !strings.HasSuffix(f[4], "%") {
		t.Errorf("top node: %s", node)
	}
}

// testResourceMetrics: the page's counters grow while the guests compute.
func testResourceMetrics(t *testing.T, s *suite, ns string, scraper *scraper) {
	spins := map[string]string{"container": "main", "pod": "spins", "namespace": ns}
	pod := map[string]string{"pod": "spins", "namespace": ns}
	first := scraper.scrape(t, "/metrics/resource")
	began := time.Now()
	testnode.Eventually(t, func() error {
		if time.Since(began) < 3*time.Second {
			return errors.New("too soon for a rate")
		}
		now := scraper.scrape(t, "/metrics/resource")
		for name, labels := range map[string]map[string]string{"container_cpu_usage_seconds_total": spins, "pod_cpu_usage_seconds_total": pod} {
			before, after := first.find(t, name, labels), now.find(t, name, labels)
			took := float64(after.GetTimestampMs()-before.GetTimestampMs()) / 1000
			rate := (after.GetCounter().GetValue() - before.GetCounter().GetValue()) / took
			if err := within(name+": cores", rate, 0.01, 0.23); err != nil {
				return err
			}
		}
		return nil
	})
	now := scraper.scrape(t, "/metrics/resource")
	for _, name := range []string{"node_cpu_usage_seconds_total", "node_memory_working_set_bytes"} {
		if m := now.find(t, name, nil); value(m) <= 0 || m.GetTimestampMs() == 0 {
			t.Errorf("%s: %v", name, m)
		}
	}
	memory := map[string]float64{}
	for _, m := range now["container_memory_working_set_bytes"].GetMetric() {
		if label(m, "namespace") == ns {
			memory[label(m, "pod")] = value(m)
		}
	}
	if memory["holds"] < 100<<20 || memory["asked"] <= 0 || len(memory) != 3 {
		t.Errorf("memory by pod: %v", memory)
	}
	started := now.find(t, "container_start_time_seconds", spins).GetGauge().GetValue()
	if age := float64(time.Now().Unix()) - started; age < 0 || age > 600 {
		t.Errorf("the container is %g s old", age)
	}
	if failed := value(now.find(t, "resource_scrape_error", nil)); failed != 0 {
		t.Errorf("resource_scrape_error %g", failed)
	}
}

// testMetricsPages: /metrics has the metrics that dashboards need, and /metrics/probes has the
// probes.
func testMetricsPages(t *testing.T, s *suite, ns string, scraper *scraper) {
	page := scraper.scrape(t, "/metrics")
	for name, least := range map[string]float64{
		"kubelet_pod_start_duration_seconds": 3, "kubelet_pod_start_sli_duration_seconds": 3,
		"kubelet_pod_status_sync_duration_seconds": 4, "kubelet_pod_worker_duration_seconds": 10,
		"kubelet_image_pull_duration_seconds": 1, "kubelet_runtime_operations_total": 5, "kubelet_runtime_operations_duration_seconds": 5,
		"kubelet_started_pods_total": 4, "kubelet_started_containers_total": 4, "kubelet_running_pods": 3, "kubelet_desired_pods": 4,
		"kubelet_terminated_containers_total": 1, "kubelet_node_name": 1, "kubelet_certificate_manager_server_ttl_seconds": 60,
		"krustlet_guests": 3, "krustlet_workers": 1, "krustlet_workers_resident_memory_bytes": 100 << 20, "krustlet_wasi_host_calls_total": 50, "krustlet_oom_kills_total": 1, "krustlet_compile_duration_seconds": 1,
		"krustlet_compile_cache_total": 2, "krustlet_guest_start_duration_seconds": 4, "krustlet_build_info": 1,
		"process_cpu_seconds_total": 0.01, "go_goroutines": 10,
	} {
		if got := page.sum(name); got < least {
			t.Errorf("%s: %g, want %g or more", name, got, least)
		}
	}
	if node := label(page.find(t, "kubelet_node_name", nil), "node"); node != s.node.Name {
		t.Errorf("kubelet_node_name: %s", node)
	}
	if n := value(page.find(t, "kubelet_running_containers", map[string]string{"container_state": "running"})); n < 3 {
		t.Errorf("%g containers run", n)
	}
	claim := map[string]string{"namespace": ns, "persistentvolumeclaim": "claim"}
	size, left := value(page.find(t, "kubelet_volume_stats_capacity_bytes", claim)), value(page.find(t, "kubelet_volume_stats_available_bytes", claim))
	if size <= 0 || left <= 0 || left > size {
		t.Errorf("a claim of %g bytes has %g left", size, left)
	}
	testnode.Eventually(t, func() error { // on a busy machine this may take a while
		spins := map[string]string{"pod": "spins", "namespace": ns}
		held := value(scraper.scrape(t, "/metrics").find(t, "krustlet_container_cpu_throttled_seconds_total", spins))
		if held <= 0 {
			return fmt.Errorf("a guest that computes was held back for %g s", held)
		}
		return nil
	})
	testnode.Eventually(t, func() error {
		probes := scraper.scrape(t, "/metrics/probes")
		for _, kind := range []string{"Readiness", "Liveness"} {
			of := map[string]string{"probe_type": kind, "result": "successful", "container": "main", "pod": "asked", "namespace": ns}
			if m := probes.lookup("prober_probe_total", of); m == nil || label(m, "pod_uid") == "" {
				return fmt.Errorf("no %v in %v", of, probes["prober_probe_total"])
			}
			delete(of, "result")
			if m := probes.lookup("prober_probe_duration_seconds", of); m == nil || m.GetHistogram().GetSampleCount() == 0 {
				return fmt.Errorf("no %v in %v", of, probes["prober_probe_duration_seconds"])
			}
		}
		return nil
	})
}

// testSummary: /stats/summary also has disks. From the second request on it has rates.
func testSummary(t *testing.T, s *suite, ns string, scraper *scraper) {
	var summary stats.Summary
	testnode.Eventually(t, func() error {
		summary = stats.Summary{}
		if err := json.Unmarshal(scraper.get(t, "/stats/summary"), &summary); err != nil {
			return err
		}
		spins := podStats(summary, ns, "spins")
		if spins == nil || spins.Containers[0].CPU.UsageNanoCores == nil || summary.Node.CPU.UsageNanoCores == nil {
			return errors.New("no rate yet")
		}
		if summary.Node.Runtime.ImageFs.UsedBytes == nil {
			return errors.New("the images are not measured yet")
		}
		return within("cores", float64(*spins.Containers[0].CPU.UsageNanoCores)/1e9, 0.01, 0.23)
	})
	node := summary.Node
	if node.NodeName != s.node.Name || *node.Memory.WorkingSetBytes == 0 || *node.Fs.CapacityBytes == 0 || len(node.SystemContainers) != 1 || node.Rlimit == nil {
		t.Errorf("node: %+v", node)
	}
	holds := podStats(summary, ns, "holds")
	if holds == nil || len(holds.Containers) != 1 || holds.EphemeralStorage == nil || *holds.EphemeralStorage.UsedBytes == 0 {
		t.Fatalf("holds: %+v", holds)
	}
	c := holds.Containers[0]
	if *c.Memory.WorkingSetBytes < 100<<20 || c.Rootfs == nil || *c.Rootfs.UsedBytes == 0 || c.Logs == nil || *c.Logs.UsedBytes == 0 {
		t.Errorf("its container: %+v", c)
	}
	if !slices.ContainsFunc(holds.VolumeStats, func(v stats.VolumeStats) bool { return v.Name == "data" && v.UsedBytes != nil }) ||
		!slices.ContainsFunc(holds.VolumeStats, func(v stats.VolumeStats) bool { return v.PVCRef != nil && v.PVCRef.Name == "claim" }) {
		t.Errorf("its volumes: %+v", holds.VolumeStats)
	}
	var brief stats.Summary
	if err := json.Unmarshal(scraper.get(t, "/stats/summary?only_cpu_and_memory=true"), &brief); err != nil {
		t.Fatal(err)
	}
	if holds := podStats(brief, ns, "holds"); brief.Node.Fs != nil || holds == nil || holds.VolumeStats != nil || holds.Containers[0].Rootfs != nil || holds.Containers[0].CPU == nil {
		t.Errorf("only CPU and memory: %+v", brief)
	}
}

func podStats(summary stats.Summary, ns, name string) *stats.PodStats {
	for i := range summary.Pods {
		if ref := summary.Pods[i].PodRef; ref.Namespace == ns && ref.Name == name {
			return &summary.Pods[i]
		}
	}
	return nil
}

// testMetricsRights: a client without the right to the pages gets none of them.
func testMetricsRights(t *testing.T, s *suite, ns string, scraper *scraper) {
	stranger := *scraper
	stranger.token = strings.TrimSpace(s.cluster.Kubectl(t, "create", "token", "default", "-n", ns))
	for _, path := range []string{"/metrics", "/metrics/resource", "/metrics/probes", "/metrics/cadvisor", "/stats/summary"} {
		if code, _ := stranger.request(t, path); code != http.StatusForbidden {
			t.Errorf("%s: code %d", path, code)
		}
	}
}

// scraper reads a node's API like Prometheus in the cluster: as a service account.
type scraper struct {
	base, token string
	client      *http.Client
}

// scraper makes an account with the rights that docs/monitoring.md gives to Prometheus.
func (s *suite) scraper(t *testing.T, ns string) *scraper {
	t.Helper()
	ctx, client := context.Background(), s.client()
	meta := metav1.ObjectMeta{Name: "prometheus"}
	if _, err := client.CoreV1().ServiceAccounts(ns).Create(ctx, &corev1.ServiceAccount{ObjectMeta: meta}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	wide := metav1.ObjectMeta{Name: ns + "-prometheus"}
	rules := []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"nodes/metrics", "nodes/stats"}, Verbs: []string{"get"}}}
	if _, err := client.RbacV1().ClusterRoles().Create(ctx, &rbacv1.ClusterRole{ObjectMeta: wide, Rules: rules}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.RbacV1().ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{
		ObjectMeta: wide, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: wide.Name},
		Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: ns, Name: meta.Name}},
	}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	ca, err := os.ReadFile(filepath.Join(s.cluster.Dir(), "pki", "ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}
	t.Cleanup(transport.CloseIdleConnections)
	return &scraper{
		base:   fmt.Sprintf("https://%s:%d", s.node.IP, testnode.Port),
		token:  strings.TrimSpace(s.cluster.Kubectl(t, "create", "token", meta.Name, "-n", ns)),
		client: &http.Client{Transport: transport, Timeout: 30 * time.Second},
	}
}

func (s *scraper) request(t *testing.T, path string) (int, []byte) {
	t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, s.base+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+s.token)
	resp, err := s.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, body
}

func (s *scraper) get(t *testing.T, path string) []byte {
	t.Helper()
	code, body := s.request(t, path)
	if code != http.StatusOK {
		t.Fatalf("%s: code %d: %s", path, code, body)
	}
	return body
}

// families are the metrics of a page, by name.
type families map[string]*dto.MetricFamily

func (s *scraper) scrape(t *testing.T, path string) families {
	t.Helper()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	all, err := parser.TextToMetricFamilies(strings.NewReader(string(s.get(t, path))))
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return all
}

// lookup is the first metric with these labels, or nil.
func (f families) lookup(name string, labels map[string]string) *dto.Metric {
	for _, m := range f[name].GetMetric() {
		matches := true
		for k, v := range labels {
			matches = matches && label(m, k) == v
		}
		if matches {
			return m
		}
	}
	return nil
}

func (f families) find(t *testing.T, name string, labels map[string]string) *dto.Metric {
	t.Helper()
	m := f.lookup(name, labels)
	if m == nil {
		t.Fatalf("no %s with %v in %v", name, labels, f[name])
	}
	return m
}

// sum adds up a metric over all labels. For a histogram it adds up the number of observations.
func (f families) sum(name string) float64 {
	total := 0.0
	for _, m := range f[name].GetMetric() {
		total += value(m)
	}
	return total
}

func value(m *dto.Metric) float64 {
	return m.GetCounter().GetValue() + m.GetGauge().GetValue() + m.GetUntyped().GetValue() + float64(m.GetHistogram().GetSampleCount())
}

func label(m *dto.Metric, name string) string {
	for _, l := range m.GetLabel() {
		if l.GetName() == name {
			return l.GetValue()
		}
	}
	return ""
}
