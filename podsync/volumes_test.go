package podsync

import (
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/krustlet-go/krustlet-wasi/hack/testfiles"
	"github.com/krustlet-go/krustlet-wasi/hack/testpod"
	"github.com/krustlet-go/krustlet-wasi/podsync/podfiles"
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// TestOwnMounts: if a container mounts a volume at the path of one of the pod's own files, it sees
// the volume.
func TestOwnMounts(t *testing.T) {
	pod := testpod.New(corev1.RestartPolicyAlways, "a")
	hosts := filepath.Join(t.TempDir(), "hosts")
	testfiles.Write(t, hosts, "")
	pod.Spec.Volumes = []corev1.Volume{{Name: "v", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: hosts}}}}
	c := &pod.Spec.Containers[0]
	c.VolumeMounts = []corev1.VolumeMount{{Name: "v", MountPath: "/etc/hosts/", ReadOnly: true}}
	c.TerminationMessagePath = "var/why"
	w := newPodLoop(New(Settings{Client: fake.NewClientset(), DataDir: t.TempDir(), Log: strictLog(), Address: testpod.NodeAddress}), untouched(pod, time.Now()), adoption{})
	if failed := w.volumes.SetUp(t.Context(), pod); len(failed) > 0 {
		t.Fatal(failed)
	}
	if _, err := w.dirs.MakeOwnFiles(pod, podfiles.HostFiles{Etc: t.TempDir()}, []netip.Addr{netip.MustParseAddr("192.0.2.9")}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.dirs.MakeRun(t.Context(), &corev1.Container{Name: "a"}, 0, ""); err != nil {
		t.Fatal(err)
	}
	mounts, err := w.mounts(pod, c, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]runtime.Mount{}
	for _, m := range mounts {
		if got[m.Guest].Guest != "" {
			t.Errorf("two mounts at %s", m.Guest)
		}
		got[m.Guest] = m
	}
	if m := got["/etc/hosts"]; m.Host != hosts || !m.ReadOnly {
		t.Errorf("/etc/hosts is %+v", m)
	}
	if len(got) != 4 || got["/etc/hostname"].Host == "" || got["/etc/resolv.conf"].Host == "" || got["/var/why"].Host != w.dirs.TerminationLog("a") {
		t.Errorf("mounts %+v", mounts)
	}
}

// TestKept: a pod is checked regularly if its volumes may change, or if it may exceed a limit.
func TestKept(t *testing.T) {
	pod := testpod.New(corev1.RestartPolicyAlways, "a", "b")
	if kept(pod) {
		t.Error("a pod without volumes and limits is looked at")
	}
	for i := range pod.Spec.Containers {
		pod.Spec.Containers[i].Resources.Limits = corev1.ResourceList{corev1.ResourceEphemeralStorage: resource.MustParse("1Mi")}
	}
	if !kept(pod) {
		t.Error("a pod with limits of what it has on disk is not looked at")
	}
}
