package podsync

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

func TestStatusPatchHasOnlyWhatDiffers(t *testing.T) {
	pod := testPod(corev1.RestartPolicyAlways, "a")
	pod.Status = corev1.PodStatus{
		Phase: corev1.PodPending, Message: "old", QOSClass: corev1.PodQOSBestEffort,
		Conditions: []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionTrue}, {Type: corev1.PodReady, Status: corev1.ConditionFalse}},
	}
	want := *pod.Status.DeepCopy()
	want.Phase, want.Message = corev1.PodRunning, ""
	want.Conditions[1].Status = corev1.ConditionTrue
	patch, err := statusPatch(pod, want)
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Metadata map[string]any
		Status   map[string]any
	}
	if err := json.Unmarshal(patch, &got); err != nil {
		t.Fatal(err)
	}
	if got.Metadata["uid"] != "u1" || len(got.Metadata) != 1 {
		t.Errorf("metadata %v: want the UID and nothing else", got.Metadata)
	}
	if message, there := got.Status["message"]; !there || message != nil {
		t.Errorf("the message is not taken back: %s", patch)
	}
	conditions, _ := got.Status["conditions"].([]any)
	if got.Status["phase"] != "Running" || len(conditions) != 1 || got.Status["qosClass"] != nil {
		t.Errorf("patch %s", patch)
	}
}

func TestReport(t *testing.T) {
	version := func(v string, phase corev1.PodPhase) *corev1.Pod {
		pod := testPod(corev1.RestartPolicyAlways, "a")
		pod.ResourceVersion, pod.Status.Phase = v, phase
		return pod
	}
	runs := corev1.PodStatus{Phase: corev1.PodRunning}
	r := report{last: version("5", corev1.PodPending)}
	if _, written := r.next(runs, t0); written || !r.due(t0) {
		t.Fatal("a status that differs is not written")
	}
	r.busy, r.sent, r.base = true, &runs, "5"
	if r.due(t0) {
		t.Fatal("a second write begins while one is under way")
	}
	r.end(reported{err: errors.New("away")}, t0)
	if retry, written := r.next(runs, t0); written || retry != t0.Add(reportRetryFirst) || r.due(t0) {
		t.Fatalf("after a failure: retry at %v", retry)
	}
	r.busy, r.sent = true, &runs
	r.end(reported{pod: version("7", corev1.PodRunning)}, t0)
	if _, written := r.next(runs, t0); !written {
		t.Fatal("the answer is not taken in")
	}
	r.see(version("6", corev1.PodPending)) // the watch is behind
	if _, written := r.next(runs, t0); !written {
		t.Fatal("an object older than the answer counts")
	}
	r.see(version("8", corev1.PodFailed)) // somebody else wrote
	if _, written := r.next(runs, t0); written || !r.due(t0) {
		t.Fatal("what somebody else wrote stays")
	}
	r.busy, r.sent, r.base = true, &runs, "8"
	r.end(reported{pod: version("9", corev1.PodFailed)}, t0) // the API server will not have it
	if r.next(runs, t0.Add(time.Hour)); r.due(t0.Add(time.Hour)) {
		t.Fatal("asks for ever for what the API server does not take")
	}
	other := runs
	other.Message = "new"
	if r.next(other, t0); !r.due(t0) {
		t.Fatal("another status is not written")
	}
	r.busy = true
	r.end(reported{err: apierrors.NewNotFound(corev1.Resource("pods"), "p")}, t0)
	if _, written := r.next(other, t0); !written || r.due(t0) {
		t.Fatal("writes to a pod that is gone")
	}
}

// TestReportOfAStartingPodWaits: that containers are being made is said once it takes long, and anything else at once.
func TestReportOfAStartingPodWaits(t *testing.T) {
	waiting := func(reason string) corev1.PodStatus {
		return corev1.PodStatus{Phase: corev1.PodPending, ContainerStatuses: []corev1.ContainerStatus{
			{Name: "a", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason}}},
		}}
	}
	setUp := func(status corev1.PodStatus) corev1.PodStatus {
		status.Conditions = []corev1.PodCondition{{Type: corev1.PodReadyToStartContainers, Status: corev1.ConditionTrue}}
		return status
	}
	soon := t0.Add(creatingShown)
	later := soon.Add(settingUpShown)
	for name, tt := range map[string]struct {
		status corev1.PodStatus
		at     time.Time
		wait   time.Time // zero: due
	}{
		"being made":            {setUp(waiting("ContainerCreating")), t0, soon},
		"being made for long":   {setUp(waiting("ContainerCreating")), soon, time.Time{}},
		"being set up":          {waiting("PodInitializing"), soon, later},
		"being set up for long": {waiting("PodInitializing"), later, time.Time{}},
		"cannot be pulled":      {waiting("ErrImagePull"), t0, time.Time{}},
		"running":               {corev1.PodStatus{Phase: corev1.PodRunning}, t0, time.Time{}},
	} {
		r := report{last: testPod(corev1.RestartPolicyAlways, "a"), news: soon}
		retry, written := r.next(tt.status, tt.at)
		if due := r.due(tt.at); due != tt.wait.IsZero() || written {
			t.Errorf("%s: due %v", name, due)
		}
		if !retry.Equal(tt.wait) {
			t.Errorf("%s: looked at again at %v, want %v", name, retry, tt.wait)
		}
	}
}
