package podsync

import (
	"context"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/krustlet-go/krustlet-wasi/node"
	"github.com/krustlet-go/krustlet-wasi/podsync/admit"
	"github.com/krustlet-go/krustlet-wasi/podsync/life"
	"github.com/krustlet-go/krustlet-wasi/podsync/podfiles"
	"github.com/krustlet-go/krustlet-wasi/podsync/podspec"
	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/pause"
)

// Pressure reports what the node is short of. *node.Pressure is one.
type Pressure interface {
	// Shortages are the present ones, the most urgent first.
	Shortages() ([]node.Shortage, error)
	// Conditions are the conditions of the node that are true.
	Conditions() ([]corev1.NodeConditionType, error)
}

// These say how often the machine is checked, and how long an evicted pod may take to end before
// the machine is checked again.
const (
	pressurePeriod  = 10 * time.Second
	cleanupPatience = 30 * time.Second
	// evictionCount bounds the time to count the files of one pod.
	evictionCount = 10 * time.Second
)

// eviction evicts pods while the node is short of something.
type eviction struct {
	*Settings
	loops *podLoops
}

// run evicts pods, one at a time, until ctx ends. It starts when all pods are known.
func (e *eviction) run(ctx context.Context, synced <-chan struct{}) {
	if e.Pressure == nil {
		return
	}
	select {
	case <-synced:
	case <-ctx.Done():
		return
	}
	for ctx.Err() == nil {
		if e.evictOne(ctx) {
			continue // the node may still be short of something
		}
		_ = pause.For(ctx, pressurePeriod) // the loop ends with ctx
	}
}

// conditions are the conditions of the node that are known and true.
func (e *eviction) conditions() []corev1.NodeConditionType {
	if e.Pressure == nil {
		return nil
	}
	conditions, err := e.Pressure.Conditions()
	if err != nil {
		e.Log.Warn("cannot tell what the node is short of", zap.Error(err))
	}
	return conditions
}

// shortage is the most urgent shortage of the node; ok is false if there is none.
func (e *eviction) shortage() (most node.Shortage, ok bool) {
	short, err := e.Pressure.Shortages()
	if err != nil {
		e.Log.Warn("cannot tell what the node is short of", zap.Error(err))
	}
	if len(short) == 0 {
		return node.Shortage{}, false
	}
	return short[0], true
}

// evictOne evicts a pod if the node is short of something. If disk or inodes are short, it first
// removes files that no pod needs, and evicts only if that is not enough. It waits until the pod is
// cleaned up.
func (e *eviction) evictOne(ctx context.Context) bool {
	short, is := e.shortage()
	if !is {
		return false
	}
	self := &corev1.ObjectReference{Kind: "Node", Name: e.NodeName, UID: types.UID(e.NodeName)}
	e.Events.Event(self, corev1.EventTypeWarning, "EvictionThresholdMet", "Attempting to reclaim "+short.Resource)
	log := e.Log.With(zap.String("signal", string(short.Signal)), zap.Stringer("threshold", &short.Threshold), zap.Stringer("available", &short.Available))
	if short.Signal == node.DiskAvailable || short.Signal == node.InodesFree {
		e.freeDisk(ctx)
		if short, is = e.shortage(); !is {
			return false
		}
		if readOnly(e.DataDir) {
			log.Warn("no pod is evicted: the disk has become read-only, and nothing would be freed; look for its errors in the kernel's log, and mount it for writing again")
			return false
		}
	}
	pods := e.candidates(ctx, short.Signal)
	if len(pods) == 0 {
		log.Warn("the node is short of something, and has no pod that may be evicted")
		return false
	}
	rank(short.Signal, pods)
	first := pods[0]
	log.Warn("evicting a pod", zap.String("namespace", first.pod.Namespace), zap.String("pod", first.pod.Name), zap.String("uid", string(first.pod.UID)))
	select {
	case first.loop.reclaim <- life.Reclaimed{Message: lowMessage(short, first)}:
		e.Metrics.Evictions.WithLabelValues(string(short.Signal)).Inc()
	default: // the pod loop has not handled the last request yet
	}
	select {
	case <-first.loop.cleaned:
	case <-time.After(cleanupPatience):
	case <-ctx.Done():
	}
	return true
}

// readOnly reports whether nothing can be written to the file system of a directory.
func readOnly(dir string) bool {
	var st unix.Statfs_t
	return unix.Statfs(dir, &st) == nil && st.Flags&unix.ST_RDONLY != 0
}

// candidates are the pods that may be evicted, with their use of the resource.
func (e *eviction) candidates(ctx context.Context, signal node.Signal) []candidate {
	var used map[string]runtime.Stats
	if signal == node.MemoryAvailable {
		used = e.Engine.Stats(ctx)
	}
	var pods []candidate
	for _, w := range e.loops.all() {
		pod := w.view.Load().pod
		if podspec.Terminal(pod.Status.Phase) || admit.Critical(pod) || closed(w.cleaned) {
			continue
		}
		c := candidate{loop: w, pod: pod, containers: map[string]consumption{}}
		switch signal {
		case node.MemoryAvailable:
			c.countMemory(used)
		case node.DiskAvailable:
			c.countDisk(ctx)
		case node.InodesFree:
			c.countFiles(ctx)
		}
		pods = append(pods, c)
	}
	return pods
}

func (c *candidate) countMemory(used map[string]runtime.Stats) {
	c.request = podspec.Amount(podspec.Requests(c.pod), corev1.ResourceMemory)
	stats, _ := c.loop.stats(used, time.Now())
	c.used = int64(*stats.Memory.WorkingSetBytes)
	for _, one := range stats.Containers {
		request := podspec.Container(c.pod, one.Name).Resources.Requests
		c.containers[one.Name] = consumption{used: int64(*one.Memory.WorkingSetBytes), request: podspec.Amount(request, corev1.ResourceMemory)}
	}
}

// countDisk counts files and logs now. With figures that are a minute old, the wrong pod might be
// evicted.
func (c *candidate) countDisk(ctx context.Context) {
	has := c.taken(ctx)
	c.consumption = consumption{has.Pod.Bytes, podspec.Amount(podspec.Requests(c.pod), corev1.ResourceEphemeralStorage), has.Pod.Partial}
	for _, of := range podspec.Containers(c.pod) {
		own := has.Containers[of.Name]
		c.containers[of.Name] = consumption{own.Bytes, podspec.Amount(of.Resources.Requests, corev1.ResourceEphemeralStorage), own.Partial}
	}
}

func (c *candidate) countFiles(ctx context.Context) {
	has := c.taken(ctx)
	c.used, c.more = has.Pod.Inodes, has.Pod.Partial
}

// taken is what the pod has on disk, as far as it can be counted.
func (c *candidate) taken(ctx context.Context) podfiles.OnDisk {
	ctx, cancel := context.WithTimeout(ctx, evictionCount)
	defer cancel()
	has, err := c.loop.dirs.Taken(ctx, c.pod)
	if err != nil {
		c.loop.log.Warn("cannot tell all that the pod has on disk", zap.Error(err))
	}
	return has
}

// freeDisk removes files that no pod needs: images, and the logs of pods that have ended.
func (e *eviction) freeDisk(ctx context.Context) {
	if e.FreeDisk != nil {
		e.FreeDisk(ctx)
	}
	for _, w := range e.loops.all() {
		if !podspec.Terminal(w.view.Load().pod.Status.Phase) || !closed(w.cleaned) {
			continue
		}
		if err := w.dirs.RemoveLogs(ctx); err != nil {
			w.log.Warn("cannot remove the logs of a pod that has ended", zap.Error(err))
		}
	}
}
