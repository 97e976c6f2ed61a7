package podsync

import (
	"fmt"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/types"

	"github.com/krustlet-go/krustlet-wasi/podsync/events"
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// There is one event for each pod and target, at most twenty of a pod, and none is forgotten by
// another pod's end.
func TestDenialsAreToldOnce(t *testing.T) {
	var d denials
	at := func(n int) denial { return denial{target: fmt.Sprint("10.0.0.1:", n)} }
	if first, _ := d.first("u1", at(1)); !first {
		t.Error("the first refusal is not told")
	}
	if first, _ := d.first("u1", at(1)); first {
		t.Error("a refusal is told again")
	}
	if first, _ := d.first("u2", at(1)); !first {
		t.Error("the refusal of another pod is not told")
	}
	if first, _ := d.first("u1", denial{target: at(1).target, ingress: true}); !first {
		t.Error("a refusal in the other direction is not told")
	}
	told, lasts := 2, 0
	for n := range 1000 {
		first, last := d.first("u1", at(n+2))
		if first {
			told++
		}
		if last {
			lasts++
		}
	}
	if told != mostTargets || lasts != 1 {
		t.Errorf("%d refusals are told, and %d times that there will be no more", told, lasts)
	}
	d.forget("u2")
	if first, _ := d.first("u2", at(1)); !first {
		t.Error("the refusal of a new pod is not told")
	}
	if len(d.told[types.UID("u1")]) != mostTargets {
		t.Error("the end of another pod has made a pod's refusals forgotten")
	}
}

func TestDeniedEvents(t *testing.T) {
	for _, tt := range []struct {
		denial     runtime.Denial
		kind, text string
	}{
		{runtime.Denial{Target: "a.example:80", By: runtime.ByEgress}, "Warning", "Connection to a.example:80 was refused: the pod's list of egress does not have it"},
		{runtime.Denial{Target: "10.0.0.1:80", By: runtime.ByLimit}, "Warning", "it is beyond the limit of egress"},
		{runtime.Denial{Target: "10.0.0.1", By: runtime.ByPolicy, Ingress: true}, "Warning", "Connection from 10.0.0.1 was refused: no NetworkPolicy allows it, of ingress for this pod"},
		{runtime.Denial{Target: "10.0.0.1:80", By: runtime.ByPolicy}, "Warning", "Connection to 10.0.0.1:80 was refused: no NetworkPolicy allows it, of egress for this pod or of ingress for the pod at the other end"},
		{runtime.Denial{Target: "a.example:80", By: runtime.ByEgress, Audited: true}, "Normal", "would be refused without the audit"},
	} {
		e := events.NetworkDenied(tt.denial)
		if e.Kind != tt.kind || !strings.Contains(e.Message, tt.text) {
			t.Errorf("%+v: %+v", tt.denial, e)
		}
	}
}
