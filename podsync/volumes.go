package podsync

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"time"

	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"

	"github.com/krustlet-go/krustlet-wasi/podsync/environ"
	"github.com/krustlet-go/krustlet-wasi/podsync/events"
	"github.com/krustlet-go/krustlet-wasi/podsync/life"
	"github.com/krustlet-go/krustlet-wasi/podsync/objects"
	"github.com/krustlet-go/krustlet-wasi/podsync/podfiles"
	"github.com/krustlet-go/krustlet-wasi/podsync/podspec"
	"github.com/krustlet-go/krustlet-wasi/podsync/volume"
	"github.com/krustlet-go/krustlet-wasi/registry"
	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/pause"
)

// Content from the API server is read again every refreshPeriod plus a random time, so that not all
// pods ask at the same time. Objects are also kept for a while. Even so, a pod sees a change within
// a minute.
const (
	refreshPeriod = 30 * time.Second
	refreshJitter = 5 * time.Second
)

// newVolumes makes the volumes of a pod.
func (m *Manager) newVolumes(dirs podfiles.Pod, log *zap.Logger) *volume.Volumes {
	return volume.New(volume.Config{
		Dir:     dirs.Volumes(),
		Objects: m.objects,
		Client:  m.Client, Patiently: objects.Patiently,
		Field: func(pod *corev1.Pod, path string) (string, error) {
			// The API server refuses volumes that ask for addresses.
			return environ.Field(pod, path, podspec.Reach{})
		},
		Resource: func(pod *corev1.Pod, ref *corev1.ResourceFieldSelector) (string, error) {
			c := podspec.Container(pod, ref.ContainerName)
			if c == nil {
				return "", fmt.Errorf("container %s not found", ref.ContainerName)
			}
			return environ.Resource(pod, c, ref, m.Allocatable)
		},
		NodeLabels: m.node.labels,
		Log:        log,
	})
}

// setUpVolumes makes the pod's volumes and records an event for each that cannot be made.
func (w *podActions) setUpVolumes(ctx context.Context, pod *corev1.Pod) error {
	failed := w.volumes.SetUp(ctx, pod)
	if ctx.Err() == nil {
		for _, err := range failed {
			w.log.Warn("the pod cannot be set up", zap.Error(err))
			w.record(pod, nil, events.MountFailed(err))
		}
	}
	return errors.Join(failed...)
}

// kept reports whether a pod has a volume whose content may change, or files that may exceed a
// limit.
func kept(pod *corev1.Pod) bool {
	_, limited := podfiles.StorageLimit(pod)
	return limited || volume.Changes(pod)
}

// keepVolumes updates the pod's volumes and checks their limits, until ctx ends or the pod has
// ended.
func (w *podLoop) keepVolumes(ctx context.Context) {
	var rested time.Time // when the use of disks may be checked again
	for {
		if pause.For(ctx, refreshPeriod+rand.N(refreshJitter)) != nil {
			return
		}
		pod := w.view.Load().pod
		if podspec.Terminal(pod.Status.Phase) {
			return
		}
		if err := w.volumes.Refresh(ctx, pod); err != nil && ctx.Err() == nil {
			w.log.Warn("cannot bring the pod's volumes up to date, will try again", zap.Error(err))
			w.record(pod, nil, events.MountFailed(err))
		}
		if time.Now().Before(rested) {
			continue
		}
		message, took := w.outgrown(ctx, pod)
		if message != "" {
			w.send(life.Outgrown{Message: message})
			return
		}
		rested = time.Now().Add(looksApart * took)
	}
}

// clearVolumes removes the volumes and the root directories of a pod that has ended. It does so
// once. The pod's folder stays until the pod is deleted.
func (w *podLoop) clearVolumes(ctx context.Context) {
	if w.volumesCleared || w.state.Stage() != life.Terminal || len(w.processes) > 0 {
		return
	}
	w.volumesCleared = true
	pod := w.state.Object()
	w.tasks.Go(func() {
		defer w.clean()
		w.volumes.TearDown()
		untilComplete(ctx, func() error {
			err := errors.Join(volume.Remove(ctx, w.dirs.Volumes()), w.dirs.ClearRoots(ctx, pod))
			if err != nil && ctx.Err() == nil {
				w.log.Warn("cannot remove the volumes and root directories of a pod that has ended, will try again", zap.Error(err))
			}
			return err
		})
	})
}

// mounts are the files that a run sees in addition to its root: the pod's own files, and its
// volumes. If both have the same path, the run sees the volume.
func (w *podActions) mounts(pod *corev1.Pod, c *corev1.Container, env []string, shown map[string]registry.Module) ([]runtime.Mount, error) {
	images, err := foldersOf(shown)
	if err != nil {
		return nil, err
	}
	volumes, err := w.volumes.Mounts(volume.Run{
		Container: c,
		Expand:    func(expr string) (string, error) { return environ.ExpandStrictly(expr, env) },
		Images:    images,
		Dir:       filepath.Join(w.dirs.Container(c.Name), "parts"),
	})
	if err != nil {
		return nil, err
	}
	var mounts []runtime.Mount
	covered := map[string]bool{}
	for _, m := range volumes {
		covered[m.Guest] = true
		mounts = append(mounts, runtime.Mount(m))
	}
	own, err := w.dirs.OwnMounts(pod, c)
	if err != nil {
		return nil, err
	}
	for _, m := range own {
		if !covered[m.Guest] {
			covered[m.Guest] = true
			mounts = append(mounts, m)
		}
	}
	return mounts, nil
}

// These bound how often the use of disks by pods is checked. The first bounds how many checks go on
// at a time. The second bounds how soon the next check of a pod begins, as a multiple of the time
// of its last check.
const (
	parallelLooks = 2
	looksApart    = 20
)

// outgrown is a message, in the kubelet's words, about a limit of disk use that the pod exceeds. It
// is empty if there is none. took is how long the check took.
func (w *podActions) outgrown(ctx context.Context, pod *corev1.Pod) (message string, took time.Duration) {
	select {
	case w.node.looks <- struct{}{}:
	case <-ctx.Done():
		return "", 0
	}
	defer func() { <-w.node.looks }()
	began := time.Now()
	message, err := w.volumes.Exceeded(ctx, pod)
	if message == "" {
		var own error
		message, own = w.dirs.Outgrown(ctx, pod)
		err = errors.Join(err, own)
	}
	if err != nil && ctx.Err() == nil {
		w.log.Warn("cannot tell what the pod has on disk, will look again", zap.Error(err))
	}
	return message, time.Since(began)
}
