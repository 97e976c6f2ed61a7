package podsync

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/record"

	"github.com/krustlet-go/krustlet-wasi/hack/testpod"
	"github.com/krustlet-go/krustlet-wasi/podsync/volume"
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// served is a pod whose annotations name volumes that no container mounts.
func served() *corev1.Pod {
	pod := testpod.New(corev1.RestartPolicyAlways, "a")
	pod.Annotations = map[string]string{
		"krustlet-wasi.dev/listen": "true", "krustlet-wasi.dev/http-timeout": "30s", "krustlet-wasi.dev/http-tls": "cert", "krustlet-wasi.dev/config": "settings",
	}
	pod.Spec.Containers[0].Ports = []corev1.ContainerPort{{Name: "https", ContainerPort: 8443}, {Name: "http", ContainerPort: 8080}}
	pod.Spec.Volumes = []corev1.Volume{
		{Name: "cert", VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{
			{DownwardAPI: &corev1.DownwardAPIProjection{Items: []corev1.DownwardAPIVolumeFile{{Path: "tls.crt", FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.name"}}}}},
		}}}},
		{Name: "settings", VolumeSource: corev1.VolumeSource{DownwardAPI: &corev1.DownwardAPIVolumeSource{Items: []corev1.DownwardAPIVolumeFile{
			{Path: "name", FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.name"}},
		}}}},
	}
	return pod
}

// unmounted removes the volumes that are in memory at the end of a test.
func unmounted(t *testing.T, s *shell) {
	t.Cleanup(func() {
		<-s.ended
		if err := volume.Remove(context.Background(), s.loop.dirs.Volumes()); err != nil {
			t.Error(err)
		}
	})
}

// TestServed: a container's run gets what the pod says of HTTP. A command beside it is not served,
// and has the same configuration.
func TestServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &engine{}
		unmounted(t, newShell(t, t.Context(), served(), e, &images{}))
		time.Sleep(time.Minute)
		synctest.Wait()
		if len(e.all()) != 1 {
			t.Fatalf("%d runs", len(e.all()))
		}
		spec := e.all()[0].spec
		node := testpod.NodeAddress.String()
		if h := spec.HTTP; len(h.Listen) != 1 || h.Listen[0] != node+":8080" || len(h.ListenTLS) != 1 || h.ListenTLS[0] != node+":8443" || h.Timeout != 30*time.Second {
			t.Errorf("%+v", h)
		}
		for _, file := range []string{filepath.Join(spec.HTTP.Certificate, "tls.crt"), filepath.Join(append(spec.ConfigFolders, "none")[0], "name")} {
			if text, err := os.ReadFile(file); err != nil || string(text) != "p" {
				t.Errorf("%q, %v", text, err)
			}
		}
		if s := session(spec, []string{"x"}); len(s.HTTP.Listen) > 0 || len(s.HTTP.ListenTLS) > 0 || s.HTTP.Certificate != "" || len(s.ConfigFolders) != 1 {
			t.Errorf("a command: %+v", s)
		}
	})
}

// TestWrongAnnotation: the container waits with the reason until the annotation is right.
func TestWrongAnnotation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pod := served()
		pod.Annotations["krustlet-wasi.dev/http-timeout"] = "soon"
		e := &engine{}
		s := prepareShell(t, pod, e, &images{}, false)
		told := record.NewFakeRecorder(1000)
		s.settings.Events = told
		s.launch(t.Context())
		unmounted(t, s)
		time.Sleep(time.Minute)
		synctest.Wait()
		const want = "reading annotation krustlet-wasi.dev/http-timeout: it must be a duration from 1ms to 24h, such as 30s"
		status := s.loop.view.Load().pod.Status.ContainerStatuses[0].State.Waiting
		if status == nil || status.Reason != "CreateContainerConfigError" || status.Message != want || len(e.all()) > 0 {
			t.Errorf("the container's state is %+v, %d runs", status, len(e.all()))
		}
		found := false
		for len(told.Events) > 0 {
			found = strings.Contains(<-told.Events, want) || found
		}
		if !found {
			t.Error("no event has the reason")
		}
		right := pod.DeepCopy()
		right.Annotations["krustlet-wasi.dev/http-timeout"] = "31s"
		if _, err := s.client.CoreV1().Pods("ns").Update(t.Context(), right, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
		s.loop.mailbox.put(right)
		time.Sleep(time.Hour)
		synctest.Wait()
		if all := e.all(); len(all) != 1 || all[0].spec.HTTP.Timeout != 31*time.Second {
			t.Errorf("%d runs after the annotation was corrected", len(all))
		}
	})
}

// TestHandlerStats: only runs that are handlers have figures of HTTP.
func TestHandlerStats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &engine{}
		pod := testpod.New(corev1.RestartPolicyAlways, "a", "b")
		s := newShell(t, t.Context(), pod, e, &images{})
		time.Sleep(time.Minute)
		synctest.Wait()
		for _, g := range e.all() {
			if g.spec.Of.Container == "b" {
				g.use(runtime.Stats{HTTP: &runtime.HTTPStats{Active: 3}})
			}
		}
		manager := s.loop.node
		manager.loops.add(pod.UID, s.loop)
		var got []string
		manager.HandlerStats(t.Context(), func(namespace, pod, container string, used runtime.HTTPStats) {
			got = append(got, namespace+"/"+pod+"/"+container)
			if used.Active != 3 {
				t.Errorf("%+v", used)
			}
		})
		if len(got) != 1 || got[0] != "ns/p/b" {
			t.Errorf("%q", got)
		}
	})
}
