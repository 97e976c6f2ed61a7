package podsync

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/strategicpatch"

	"github.com/krustlet-go/krustlet-wasi/podsync/life"
	"github.com/krustlet-go/krustlet-wasi/podsync/podspec"
)

const (
	reportRetryFirst = 200 * time.Millisecond
	reportRetryMax   = 10 * time.Second
	flushTimeout     = 3 * time.Second
)

// report knows which status of a pod the API server has. At most one write goes on at a time. The
// next write takes the status that is newest then. If another client changes the status, it differs
// from the wanted one, and is written again.
type report struct {
	last     *corev1.Pod // the newest object, from the watch or from a write
	busy     bool
	sent     *corev1.PodStatus // the status of the last write
	base     string            // the resourceVersion before that write
	answered string            // the resourceVersion after it
	wanted   corev1.PodStatus
	failures int
	retryAt  time.Time
	// A status that says only that containers are being made is not written before the time news.
	news    time.Time
	missing bool // the object was deleted
}

// reported is the result of a write.
type reported struct {
	pod *corev1.Pod
	err error
}

// see notes an object from the watch. It may be older than the answer to the last write.
func (r *report) see(pod *corev1.Pod) {
	if !older(pod, r.last) {
		r.last = pod
	}
}

// next sets the wanted status. It returns when to try again after a failure, and whether the API
// server has the status.
func (r *report) next(status corev1.PodStatus, now time.Time) (retry time.Time, written bool) {
	r.wanted = status
	switch {
	case r.missing:
		return time.Time{}, true
	case r.busy:
		return time.Time{}, false
	case r.settled():
		return time.Time{}, true
	case now.Before(r.retryAt):
		return r.retryAt, false
	case r.held(now):
		return r.shownAt(), false
	}
	return time.Time{}, false
}

// due reports whether a write should begin now.
func (r *report) due(now time.Time) bool {
	return !r.missing && !r.busy && !now.Before(r.retryAt) && !r.held(now) && !r.settled()
}

// creatingShown is how long a pod may take to start before its status says that it is starting.
// Most pods run within that time. Then the first status that is written is the one that users wait
// for, and half of the writes are saved.
const creatingShown = 100 * time.Millisecond

// settingUpShown is the additional time if the pod does not yet have its volumes and its address.
const settingUpShown = 900 * time.Millisecond

// shownAt is when a pod's first status is written, if it says only that the pod exists.
func (r *report) shownAt() time.Time {
	if podspec.HasCondition(&r.wanted, corev1.PodReadyToStartContainers, corev1.ConditionTrue) {
		return r.news
	}
	return r.news.Add(settingUpShown)
}

// held reports whether the status must wait: it is the first status of a new pod, and says only
// that the pod exists.
func (r *report) held(now time.Time) bool {
	if r.sent != nil || !now.Before(r.shownAt()) || r.wanted.Phase != corev1.PodPending {
		return false
	}
	for _, list := range [][]corev1.ContainerStatus{r.wanted.InitContainerStatuses, r.wanted.ContainerStatuses} {
		for _, c := range list {
			w := c.State.Waiting
			if w == nil || w.Reason != life.ReasonContainerCreating && w.Reason != life.ReasonPodInitializing {
				return false
			}
		}
	}
	return true
}

// settled reports whether no write is needed. Either the API server has the wanted status. Or it
// has answered a write of exactly this status with another status, because it drops fields that it
// does not know. Then another write would change nothing.
func (r *report) settled() bool {
	if apiequality.Semantic.DeepEqual(r.wanted, r.last.Status) {
		return true
	}
	version := r.last.ResourceVersion
	return r.sent != nil && (version == r.base || version == r.answered) && apiequality.Semantic.DeepEqual(r.wanted, *r.sent)
}

func (r *report) end(result reported, now time.Time) {
	r.busy = false
	switch {
	case result.err == nil:
		r.failures, r.retryAt = 0, time.Time{}
		r.answered = result.pod.ResourceVersion
		r.see(result.pod)
	case apierrors.IsNotFound(result.err):
		r.missing = true
	default:
		r.sent = nil
		r.retryAt = now.Add(min(reportRetryMax, reportRetryFirst<<min(r.failures, 8)))
		r.failures++
	}
}

// write begins to write the status.
func (w *podLoop) write(ctx context.Context, status corev1.PodStatus) {
	base := w.report.last
	w.report.busy, w.report.sent, w.report.base = true, &status, base.ResourceVersion
	w.tasks.Go(func() {
		ctx, span := w.trace(ctx, "pod.status", nil)
		pod, err := w.node.writeStatus(ctx, base, status)
		endTrace(span, err)
		w.send(reported{pod, err})
	})
}

// writeStatus patches the differences between the base's status and the wanted one. The patch has
// the UID, so it never changes another pod of the same name.
func (m *Manager) writeStatus(ctx context.Context, base *corev1.Pod, status corev1.PodStatus) (*corev1.Pod, error) {
	patch, err := statusPatch(base, status)
	if err != nil {
		return nil, err
	}
	m.writes <- struct{}{}
	defer func() { <-m.writes }()
	return m.Client.CoreV1().Pods(base.Namespace).Patch(ctx, base.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status")
}

func statusPatch(base *corev1.Pod, status corev1.PodStatus) ([]byte, error) {
	meta := metav1.ObjectMeta{Name: base.Name, Namespace: base.Namespace}
	was, err := json.Marshal(corev1.Pod{ObjectMeta: meta, Status: base.Status})
	if err != nil {
		return nil, fmt.Errorf("encoding the pod's last status: %w", err)
	}
	meta.UID = base.UID
	is, err := json.Marshal(corev1.Pod{ObjectMeta: meta, Status: status})
	if err != nil {
		return nil, fmt.Errorf("encoding the pod's status: %w", err)
	}
	patch, err := strategicpatch.CreateTwoWayMergePatch(was, is, corev1.Pod{})
	if err != nil {
		return nil, fmt.Errorf("comparing the pod's status with its last: %w", err)
	}
	return patch, nil
}

// older reports whether a is before b in the API server's order. Versions that are not numbers have
// no order.
func older(a, b *corev1.Pod) bool {
	va, errA := strconv.ParseUint(a.ResourceVersion, 10, 64)
	vb, errB := strconv.ParseUint(b.ResourceVersion, 10, 64)
	return errA == nil && errB == nil && va < vb
}
