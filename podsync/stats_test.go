package podsync

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/krustlet-go/krustlet-wasi/hack/testpod"
	"github.com/krustlet-go/krustlet-wasi/podsync/metrics"
	"github.com/krustlet-go/krustlet-wasi/podsync/podfiles"
	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/filetree"
)

// gathered are sums of metrics, by name. A sum includes the series whose labels contain all of the
// words.
func gathered(t *testing.T, c prometheus.Collector, words ...string) map[string]float64 {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(c)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	sums := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if hasAll(m, words) {
				sums[f.GetName()] += m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
			}
		}
	}
	return sums
}

func hasAll(m *dto.Metric, words []string) bool {
	var values []string
	for _, l := range m.GetLabel() {
		values = append(values, l.GetValue())
	}
	all := "," + strings.Join(values, ",") + ","
	for _, w := range words {
		if !strings.Contains(all, ","+w+",") {
			return false
		}
	}
	return true
}

// observed is the sum of a histogram that has observed exactly one value.
func observed(t *testing.T, h prometheus.Metric) float64 {
	t.Helper()
	var m dto.Metric
	if err := h.Write(&m); err != nil || m.GetHistogram().GetSampleCount() != 1 {
		t.Fatalf("%v, %v", &m, err)
	}
	return m.GetHistogram().GetSampleSum()
}

// TestPodIsMeasured checks the counters of a pod whose first pull fails. The pod crashes, and then
// it is deleted.
func TestPodIsMeasured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pod := testpod.New(corev1.RestartPolicyAlways, "a")
		pod.Spec.Containers[0].ImagePullPolicy = corev1.PullAlways
		s := prepareShell(t, pod, &engine{life: 90 * time.Second, code: 3}, &images{failures: 1}, false)
		s.settings.Metrics = metrics.NewPods()
		s.launch(t.Context())
		time.Sleep(2 * time.Minute) // the first run has ended, the second goes on
		synctest.Wait()
		running, _ := s.object()
		s.loop.mailbox.put(testpod.Deleted(running, 10))
		<-s.ended
		all := gathered(t, s.settings.Metrics)
		for name, want := range map[string]float64{
			"kubelet_started_pods_total": 1, "kubelet_started_pods_errors_total": 0, "kubelet_started_containers_total": 2,
			"kubelet_pod_start_duration_seconds": 1, "kubelet_terminated_containers_total": 2, "krustlet_oom_kills_total": 0,
			"kubelet_image_pull_duration_seconds": 2,
		} {
			if all[name] != want {
				t.Errorf("%s: %g, want %g", name, all[name], want)
			}
		}
		for _, tc := range []struct {
			name  string
			words []string
			want  float64
		}{
			{"kubelet_started_containers_errors_total", []string{"container", reasonErrImagePull}, 1},
			{"kubelet_runtime_operations_total", []string{"pull_image"}, 3},
			{"kubelet_runtime_operations_errors_total", []string{"pull_image"}, 1},
			{"kubelet_runtime_operations_total", []string{"start_container"}, 2},
			{"kubelet_runtime_operations_errors_total", []string{"start_container"}, 0},
			{"kubelet_runtime_operations_total", []string{"stop_container"}, 1},
			{"kubelet_terminated_containers_total", []string{"container", "3", "Error"}, 1},
			{"kubelet_terminated_containers_total", []string{"container", "137", "Error"}, 1},
			{"kubelet_pod_worker_duration_seconds", []string{"create"}, 1},
			{"kubelet_pod_worker_duration_seconds", []string{"update"}, 1},
		} {
			if got := gathered(t, s.settings.Metrics, tc.words...)[tc.name]; got != tc.want {
				t.Errorf("%s %v: %g, want %g", tc.name, tc.words, got, tc.want)
			}
		}
		// The second try came after the back-off of 10 s.
		if took := observed(t, s.settings.Metrics.StartDuration); took < 10 || took > 12 {
			t.Errorf("the pod took %g s to start", took)
		}
		if all["kubelet_pod_status_sync_duration_seconds"] < 3 {
			t.Errorf("statuses written: %g", all["kubelet_pod_status_sync_duration_seconds"])
		}
	})
}

// TestStartIndicator: the time for pulls and init containers does not count as the node's delay.
// Pods with stateful volumes do not count.
func TestStartIndicator(t *testing.T) {
	created := time.Unix(1_700_000_000, 0)
	pod := testpod.New(corev1.RestartPolicyAlways, "a")
	pod.CreationTimestamp.Time = created
	begin := func() (*metrics.Pods, measures) {
		all := metrics.NewPods()
		return all, newMeasures(all, untouched(pod, created), adoption{}, created)
	}
	all, m := begin()
	m.pullBegins(created.Add(time.Second))
	m.pullBegins(created.Add(2 * time.Second)) // in parallel
	m.pullEnds(created.Add(4 * time.Second))
	m.pullEnds(created.Add(5 * time.Second))
	shown := pod.DeepCopy()
	m.watched(shown, created.Add(6*time.Second)) // no container runs yet
	shown.Status.InitContainerStatuses = []corev1.ContainerStatus{{State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
		StartedAt: metav1.NewTime(created.Add(5 * time.Second)), FinishedAt: metav1.NewTime(created.Add(8 * time.Second)),
	}}}}
	shown.Status.ContainerStatuses = []corev1.ContainerStatus{{State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}}
	m.watched(shown, created.Add(10*time.Second))
	m.watched(shown, created.Add(20*time.Second)) // the pod has already started long ago
	if total, sli := observed(t, all.StartTotalDuration), observed(t, all.StartSLIDuration); total != 10 || sli != 3 {
		t.Errorf("in all %g s, of which the node's are %g s; want 10 and 10-4-3", total, sli)
	}

	all, m = begin()
	shown.Spec.Volumes = []corev1.Volume{{VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/x"}}}}
	m.watched(shown, created.Add(10*time.Second))
	if sums := gathered(t, all); sums["kubelet_pod_start_total_duration_seconds"] != 1 || sums["kubelet_pod_start_sli_duration_seconds"] != 0 {
		t.Errorf("with a volume of the host's: %v", sums)
	}

	old := pod.DeepCopy()
	old.Status = corev1.PodStatus{Phase: corev1.PodRunning, ContainerStatuses: []corev1.ContainerStatus{*testpod.IsRunning("here", 0)}}
	state, adopted := takeUp(old, podfiles.Pod{}, []runtime.Run{{ID: "here", Of: runtime.Origin{Pod: "u1", Container: "a"}, Guest: &guest{done: make(chan struct{})}}}, created)
	all = metrics.NewPods()
	m = newMeasures(all, state, adopted, created)
	m.watched(shown, created.Add(time.Hour))
	if m.status(&old.Status, true, created.Add(time.Hour)); gathered(t, all)["kubelet_pod_start_duration_seconds"] != 0 || gathered(t, all)["kubelet_pod_start_total_duration_seconds"] != 0 {
		t.Error("a pod that an earlier agent has started counts as started by this one")
	}
}

// fakeDisks is a Disks that knows nothing before CaughtUp is called.
type fakeDisks struct {
	looked bool
	waited int
}

func (d *fakeDisks) Usage(dir string) (filetree.Usage, bool) {
	if !d.looked {
		return filetree.Usage{}, false
	}
	if strings.Contains(dir, "logs") {
		return filetree.Usage{Bytes: 1000, Inodes: 1}, true
	}
	return filetree.Usage{Bytes: 20, Inodes: 2}, true
}

func (d *fakeDisks) CaughtUp(context.Context) { d.looked, d.waited = true, d.waited+1 }

// TestPodStats: the figures are those of running containers, and never 0. The processor time of a
// pod does not shrink when a container restarts.
func TestPodStats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pod := testpod.New(corev1.RestartPolicyAlways, "a", "b")
		pod.Spec.Containers[0].Resources.Limits = corev1.ResourceList{
			corev1.ResourceMemory: resource.MustParse("1Mi"), corev1.ResourceCPU: resource.MustParse("1"),
		}
		h := newHome(t, pod)
		h.run(func(m *Manager) {
			disks := &fakeDisks{}
			m.Disks = disks
			pass(time.Second)
			byName := map[string]*guest{}
			for _, g := range h.engine.all() {
				byName[g.spec.Of.Container] = g
			}
			byName["a"].use(runtime.Stats{CPU: 3 * time.Second, Memory: 65536, Throttled: 7 * time.Second})
			byName["b"].use(runtime.Stats{}) // as if it had just started
			all := m.PodStats(t.Context(), false)
			if len(all) != 1 || len(all[0].Containers) != 2 || all[0].PodRef.Name != "p" || disks.waited != 0 {
				t.Fatalf("%+v", all)
			}
			a, b := all[0].Containers[0], all[0].Containers[1]
			if a.Name != "a" || *a.CPU.UsageCoreNanoSeconds != 3e9 || *a.Memory.WorkingSetBytes != 65536 || *a.Memory.AvailableBytes != 1<<20-65536 || a.Rootfs != nil {
				t.Errorf("a: %+v %+v", a.CPU, a.Memory)
			}
			if *b.CPU.UsageCoreNanoSeconds == 0 || *b.Memory.WorkingSetBytes == 0 || b.Memory.AvailableBytes != nil || b.StartTime.IsZero() {
				t.Errorf("b: %+v %+v", b.CPU, b.Memory)
			}
			if got := *all[0].CPU.UsageCoreNanoSeconds; got < 3e9 || got > 3.01e9 || !all[0].CPU.Time.Time.Equal(time.Now()) {
				t.Errorf("the pod: %d at %v", got, all[0].CPU.Time)
			}
			sums := gathered(t, NewCollector(m))
			if sums["kubelet_running_pods"] != 1 || sums["kubelet_desired_pods"] != 1 || sums["krustlet_container_cpu_throttled_seconds_total"] != 7 ||
				gathered(t, NewCollector(m), "running")["kubelet_running_containers"] != 2 {
				t.Errorf("%v", sums)
			}

			all = m.PodStats(t.Context(), true)
			a = all[0].Containers[0]
			if disks.waited != 1 || *a.Rootfs.UsedBytes != 20 || *a.Logs.UsedBytes != 1000 || *a.Rootfs.CapacityBytes == 0 || *all[0].EphemeralStorage.UsedBytes != 2*1020 {
				t.Errorf("waited %d times; %+v %+v %+v", disks.waited, a.Rootfs, a.Logs, all[0].EphemeralStorage)
			}
			m.PodStats(t.Context(), true)
			if disks.waited != 1 {
				t.Error("disks that are known were waited for")
			}

			byName["a"].end(1)
			synctest.Wait()
			pass(time.Second)
			after := m.PodStats(t.Context(), false)
			if got := *after[0].CPU.UsageCoreNanoSeconds; got < 3e9 {
				t.Errorf("the pod's processor time went back to %d", got)
			}
		})
	})
}
