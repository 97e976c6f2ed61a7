package podsync

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/krustlet-go/krustlet-wasi/hack/testpod"
)

func TestStatusPatchHasOnlyWhatDiffers(t *testing.T) {
	pod := testpod.New(corev1.RestartPolicyAlways, "a")
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
		pod := testpod.New(corev1.RestartPolicyAlways, "a")
		pod.ResourceVersion, pod.Status.Phase = v, phase
		return pod
	}
	runs := corev1.PodStatus{Phase: corev1.PodRunning}
	r := report{last: version("5", corev1.PodPending)}
	if _, written := r.next(runs, testpod.Epoch); written || !r.due(testpod.Epoch) {
		t.Fatal("a status that differs is not written")
	}
	r.busy, r.sent, r.base = true, &runs, "5"
	if r.due(testpod.Epoch) {
		t.Fatal("a second write begins while one is under way")
	}
	r.end(reported{err: errors.New("away")}, testpod.Epoch)
	if retry, written := r.next(runs, testpod.Epoch); written || retry != testpod.Epoch.Add(reportRetryFirst) || r.due(testpod.Epoch) {
		t.Fatalf("after a failure: retry at %v", retry)
	}
	r.busy, r.sent = true, &runs
	r.end(reported{pod: version("7", corev1.PodRunning)}, testpod.Epoch)
	if _, written := r.next(runs, testpod.Epoch); !written {
		t.Fatal("the answer is not taken in")
	}
	r.see(version("6", corev1.PodPending)) // the watch is late
	if _, written := r.next(runs, testpod.Epoch); !written {
		t.Fatal("an object older than the answer counts")
	}
	r.see(version("8", corev1.PodFailed)) // another client has written
	if _, written := r.next(runs, testpod.Epoch); written || !r.due(testpod.Epoch) {
		t.Fatal("what another client wrote stays")
	}
	r.busy, r.sent, r.base = true, &runs, "8"
	// The API server does not keep this status.
	r.end(reported{pod: version("9", corev1.PodFailed)}, testpod.Epoch)
	if r.next(runs, testpod.Epoch.Add(time.Hour)); r.due(testpod.Epoch.Add(time.Hour)) {
		t.Fatal("asks for ever for what the API server does not take")
	}
	other := runs
	other.Message = "new"
	if r.next(other, testpod.Epoch); !r.due(testpod.Epoch) {
		t.Fatal("another status is not written")
	}
	r.busy = true
	r.end(reported{err: apierrors.NewNotFound(corev1.Resource("pods"), "p")}, testpod.Epoch)
	if _, written := r.next(other, testpod.Epoch); !written || r.due(testpod.Epoch) {
		t.Fatal("writes to a pod that was deleted")
	}
}

// TestReportOfAStartingPodWaits: a status that says only that containers are being made is reported
// only if that takes long. Every other status is reported immediately.
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
	soon := testpod.Epoch.Add(creatingShown)
	later := soon.Add(settingUpShown)
	for name, tt := range map[string]struct {
		status corev1.PodStatus
		at     time.Time
		wait   time.Time // zero: the write is due
	}{
		"being made":            {setUp(waiting("ContainerCreating")), testpod.Epoch, soon},
		"being made for long":   {setUp(waiting("ContainerCreating")), soon, time.Time{}},
		"being set up":          {waiting("PodInitializing"), soon, later},
		"being set up for long": {waiting("PodInitializing"), later, time.Time{}},
		"cannot be pulled":      {waiting("ErrImagePull"), testpod.Epoch, time.Time{}},
		"running":               {corev1.PodStatus{Phase: corev1.PodRunning}, testpod.Epoch, time.Time{}},
	} {
		r := report{last: testpod.New(corev1.RestartPolicyAlways, "a"), news: soon}
		retry, written := r.next(tt.status, tt.at)
		if due := r.due(tt.at); due != tt.wait.IsZero() || written {
			t.Errorf("%s: due %v", name, due)
		}
		if !retry.Equal(tt.wait) {
			t.Errorf("%s: looked at again at %v, want %v", name, retry, tt.wait)
		}
	}
}
