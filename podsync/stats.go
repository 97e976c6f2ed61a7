package podsync

import (
	"cmp"
	"context"
	"path/filepath"
	"slices"
	"time"

	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	stats "k8s.io/kubelet/pkg/apis/stats/v1alpha1"

	"github.com/krustlet-go/krustlet-wasi/node"
	"github.com/krustlet-go/krustlet-wasi/podsync/podfiles"
	"github.com/krustlet-go/krustlet-wasi/podsync/podspec"
	"github.com/krustlet-go/krustlet-wasi/podsync/volume"
	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/filetree"
)

// Disks reports what directories take on disk. *volume.Meter is one.
type Disks interface {
	// Usage is what a directory took at the last look. ok is false before the first look. If the
	// last look was long ago, another one begins.
	Usage(dir string) (taken filetree.Usage, ok bool)
	// CaughtUp waits until there was a look at every directory that Usage was asked for.
	CaughtUp(ctx context.Context)
}

// firstLook bounds how long PodStats waits for the first look at disks.
const firstLook = time.Second

// PodStats are the figures of the pods that have a running container, ordered by namespace and
// name: processor time since the containers' start, memory and, with disks, use of disks. A
// container is missing if it does not run, or if its figures are not known yet.
func (m *Manager) PodStats(ctx context.Context, disks bool) []stats.PodStats {
	used := m.Engine.Stats(ctx)
	now := time.Now()
	var all []stats.PodStats
	var of []*podLoop
	for _, w := range m.loops.all() {
		if pod, ok := w.stats(used, now); ok {
			all = append(all, pod)
			of = append(of, w)
		}
	}
	if disks && m.Disks != nil {
		m.addDisks(ctx, all, of, now)
	}
	slices.SortFunc(all, func(a, b stats.PodStats) int {
		return cmp.Or(cmp.Compare(a.PodRef.Namespace, b.PodRef.Namespace), cmp.Compare(a.PodRef.Name, b.PodRef.Name), cmp.Compare(a.PodRef.UID, b.PodRef.UID))
	})
	return all
}

// stats are the figures of a pod. ok is false if none of its containers runs.
func (w *podLoop) stats(used map[string]runtime.Stats, now time.Time) (stats.PodStats, bool) {
	v, at := w.view.Load(), metav1.NewTime(now)
	pod := stats.PodStats{PodRef: stats.PodReference{Name: v.pod.Name, Namespace: v.pod.Namespace, UID: string(v.pod.UID)}}
	if v.pod.Status.StartTime != nil {
		pod.StartTime = *v.pod.Status.StartTime
	}
	whole, memory := v.spent, uint64(0)
	for _, c := range podspec.Containers(v.pod) {
		run := v.runs[c.Name]
		if run.process == nil {
			continue
		}
		usage, known := used[run.id]
		if !known && ended(run.process) { // it has just ended, and will soon count as spent
			whole = whole.Plus(podfiles.UseOf(run.process.Stats()))
			continue
		}
		whole = whole.Plus(podfiles.UseOf(usage))
		status := podspec.StatusOf(v.pod, c.Name)
		if !known || status == nil || status.State.Running == nil {
			continue
		}
		one := containerStats(c, usage, at)
		one.StartTime = status.State.Running.StartedAt
		pod.Containers = append(pod.Containers, one)
		memory += *one.Memory.WorkingSetBytes
	}
	processor := uint64(max(whole.CPU, time.Microsecond))
	pod.CPU = &stats.CPUStats{Time: at, UsageCoreNanoSeconds: &processor}
	pod.Memory = &stats.MemoryStats{Time: at, UsageBytes: &memory, WorkingSetBytes: &memory}
	pod.Network = networkStats(v.pod, whole.Traffic, at)
	return pod, len(pod.Containers) > 0
}

// podInterface is the name of a pod's network interface on other nodes. Pods of this node have no
// interface, so the figures are those of the guests' connections.
const podInterface = "eth0"

// networkStats is nil for a pod at the node's address: a kubelet has no figures for a pod in the
// host's network either.
func networkStats(pod *corev1.Pod, moved runtime.Traffic, at metav1.Time) *stats.NetworkStats {
	if pod.Status.PodIP == "" || pod.Status.PodIP == pod.Status.HostIP {
		return nil
	}
	figure := func(n int64) *uint64 { u := uint64(max(n, 0)); return &u }
	one := stats.InterfaceStats{
		Name:    podInterface,
		RxBytes: figure(moved.Received), RxErrors: figure(moved.ReceiveErrors),
		TxBytes: figure(moved.Sent), TxErrors: figure(moved.SendErrors),
	}
	return &stats.NetworkStats{Time: at, InterfaceStats: one, Interfaces: []stats.InterfaceStats{one}}
}

// containerStats never returns 0, because readers think that a container with use 0 does not exist.
func containerStats(c *corev1.Container, used runtime.Stats, at metav1.Time) stats.ContainerStats {
	processor, memory := uint64(max(used.CPU, time.Microsecond)), uint64(max(used.Memory, 1))
	one := stats.ContainerStats{
		Name:   c.Name,
		CPU:    &stats.CPUStats{Time: at, UsageCoreNanoSeconds: &processor},
		Memory: &stats.MemoryStats{Time: at, UsageBytes: &memory, WorkingSetBytes: &memory},
	}
	if limit := c.Resources.Limits.Memory().Value(); limit > 0 {
		left := uint64(limit) - min(uint64(limit), memory)
		one.Memory.AvailableBytes = &left
	}
	return one
}

// addDisks adds what pods have on disk.
func (m *Manager) addDisks(ctx context.Context, all []stats.PodStats, of []*podLoop, now time.Time) {
	whole, err := node.FileSystem(m.DataDir, now)
	if err != nil {
		m.Log.Warn("cannot tell what pods have on disk", zap.Error(err))
		return
	}
	look := &diskLook{disks: m.Disks, whole: whole}
	for _, w := range of {
		look.add(&stats.PodStats{}, w) // it asks for all before it waits for the first
	}
	if look.missing {
		ctx, cancel := context.WithTimeout(ctx, firstLook)
		defer cancel()
		m.Disks.CaughtUp(ctx)
	}
	for i, w := range of {
		look.add(&all[i], w)
	}
}

// diskLook is one look at disks.
type diskLook struct {
	disks   Disks
	whole   *stats.FsStats // of the data directory
	missing bool           // there was no look yet at some directory
}

// add adds what a pod has on disk, as far as that is known.
func (l *diskLook) add(pod *stats.PodStats, w *podLoop) {
	own := *l.whole
	own.UsedBytes, own.InodesUsed = new(uint64), new(uint64)
	count := func(dir string) *stats.FsStats {
		fs := l.of(dir)
		if fs != nil {
			*own.UsedBytes += *fs.UsedBytes
			*own.InodesUsed += *fs.InodesUsed
		}
		return fs
	}
	v := w.view.Load()
	for _, c := range podspec.Containers(v.pod) {
		root, logs := count(w.dirs.Container(c.Name)), count(filepath.Dir(w.dirs.Log(c.Name, 0)))
		for i := range pod.Containers {
			if pod.Containers[i].Name == c.Name {
				pod.Containers[i].Rootfs, pod.Containers[i].Logs = root, logs
			}
		}
	}
	for _, location := range w.volumes.Locations(v.pod) {
		fs := wholeOf(location, l.whole.Time.Time)
		if fs == nil {
			fs = count(location.Dir)
		}
		if fs != nil {
			pod.VolumeStats = append(pod.VolumeStats, volumeStats(v.pod, location, fs))
		}
	}
	pod.EphemeralStorage = &own
}

// of are the figures of a directory of the agent. Its file system is that of the data directory.
// The result is nil if the figures are not known yet.
func (l *diskLook) of(dir string) *stats.FsStats {
	taken, ok := l.disks.Usage(dir)
	if !ok {
		l.missing = true
		return nil
	}
	fs := *l.whole
	bytes, inodes := uint64(max(taken.Bytes, 0)), uint64(max(taken.Inodes, 0))
	fs.UsedBytes, fs.InodesUsed = &bytes, &inodes
	return &fs
}

// wholeOf are the figures of a volume's file system, if the volume has that file system alone.
// Otherwise it is nil.
func wholeOf(location volume.Location, now time.Time) *stats.FsStats {
	if !location.Whole {
		return nil
	}
	fs, err := node.FileSystem(location.Dir, now)
	if err != nil {
		return nil
	}
	return fs
}

func volumeStats(pod *corev1.Pod, location volume.Location, fs *stats.FsStats) stats.VolumeStats {
	one := stats.VolumeStats{Name: location.Volume, FsStats: *fs}
	if location.Claim != "" {
		one.PVCRef = &stats.PVCReference{Name: location.Claim, Namespace: pod.Namespace}
	}
	return one
}

// ClaimStats are the figures of the volumes that are claims. Each pod that has a claim has its own
// figures.
func (m *Manager) ClaimStats() []stats.VolumeStats {
	now := time.Now()
	var all []stats.VolumeStats
	for _, w := range m.loops.all() {
		pod := w.view.Load().pod
		for _, location := range w.volumes.Locations(pod) {
			if fs := wholeOf(location, now); fs != nil && location.Claim != "" {
				all = append(all, volumeStats(pod, location, fs))
			}
		}
	}
	return all
}
