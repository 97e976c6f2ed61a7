package podsync

import (
	"net/netip"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/krustlet-go/krustlet-wasi/hack/testfiles"
	"github.com/krustlet-go/krustlet-wasi/hack/testpod"
	"github.com/krustlet-go/krustlet-wasi/podsync/podspec"
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// TestRemains: the next agent reads what earlier agents left of a pod: its addresses, the attempts
// of its newest logs, and the termination messages of runs.
func TestRemains(t *testing.T) {
	pod := testpod.New(corev1.RestartPolicyAlways, "a", "b")
	dirs := dirsOf(t.TempDir(), pod)
	own := []netip.Addr{netip.MustParseAddr("10.1.0.5")}
	if err := dirs.KeepAddresses(podspec.Addresses{Known: true, Own: own}); err != nil {
		t.Fatal(err)
	}
	for _, attempt := range []int32{1, 2} {
		testfiles.Write(t, dirs.Log("a", attempt), "")
	}
	testfiles.Write(t, dirs.TerminationLog("a"), "")
	if err := os.WriteFile(dirs.TerminationLog("a"), []byte("why"), 0o600); err != nil {
		t.Fatal(err)
	}
	e := &engine{}
	gone := e.host("gone", runtime.Origin{Pod: "u1", Container: "a", Attempt: 2})
	gone.end(3)
	e.host("here", runtime.Origin{Pod: "u1", Container: "b"})
	left := remains(dirs, pod, e.Runs())
	if !left.Addresses.Known || !cmp.Equal(left.Addresses.Own, own, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })) {
		t.Errorf("addresses %+v", left.Addresses)
	}
	if diff := cmp.Diff(map[string]int32{"a": 2}, left.LastAttempt); diff != "" {
		t.Errorf("newest logs: %s", diff)
	}
	if len(left.Runs) != 2 || left.Runs[0].Exit == nil || left.Runs[0].Exit.Message != "why" || left.Runs[0].Exit.Code != 3 || left.Runs[1].Exit != nil {
		t.Errorf("runs %+v", left.Runs)
	}
}
