package volume

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kruntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"

	reading "github.com/krustlet-go/krustlet-wasi/podsync/objects"
)

// cluster has the objects that a pod's volumes name.
type cluster struct {
	configMaps map[string]map[string]string
	secrets    map[string]map[string][]byte
	fresh      int
}

func (c *cluster) ConfigMap(_ context.Context, _, name string) (*corev1.ConfigMap, error) {
	data, ok := c.configMaps[name]
	if !ok {
		return nil, apierrors.NewNotFound(corev1.Resource("configmap"), name)
	}
	return &corev1.ConfigMap{Data: data, BinaryData: map[string][]byte{"bin": {0, 255}}}, nil
}

func (c *cluster) Secret(_ context.Context, _, name string) (*corev1.Secret, error) {
	data, ok := c.secrets[name]
	if !ok {
		return nil, apierrors.NewNotFound(corev1.Resource("secret"), name)
	}
	return &corev1.Secret{Data: data}, nil
}

func (c *cluster) FreshConfigMap(ctx context.Context, namespace, name string) (*corev1.ConfigMap, error) {
	c.fresh++
	return c.ConfigMap(ctx, namespace, name)
}

func (c *cluster) FreshSecret(ctx context.Context, namespace, name string) (*corev1.Secret, error) {
	c.fresh++
	return c.Secret(ctx, namespace, name)
}

func newVolumes(t *testing.T, c *cluster, objects ...kruntime.Object) *Volumes {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "volumes")
	t.Cleanup(func() {
		if err := Remove(context.Background(), dir); err != nil {
			t.Error(err)
		}
	})
	return New(Config{
		Dir:     dir,
		Objects: c,
		Client:  fake.NewClientset(objects...), Patiently: reading.Patiently,
		Field: func(pod *corev1.Pod, path string) (string, error) {
			if path == "metadata.name" {
				return pod.Name, nil
			}
			return "", errors.New("unsupported fieldPath: " + path)
		},
		Resource: func(_ *corev1.Pod, ref *corev1.ResourceFieldSelector) (string, error) {
			return ref.ContainerName + " " + ref.Resource, nil
		},
		NodeLabels: func(context.Context) (map[string]string, error) { return map[string]string{"zone": "here"}, nil },
		Log:        zap.NewNop(),
	})
}

// podWith is a pod with one container, which mounts the volume at /v.
func podWith(source corev1.VolumeSource) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "p", UID: "uid"},
		Spec: corev1.PodSpec{
			Volumes:    []corev1.Volume{{Name: "v", VolumeSource: source}},
			Containers: []corev1.Container{{Name: "c", VolumeMounts: []corev1.VolumeMount{{Name: "v", MountPath: "/v"}}}},
		},
	}
}

func ptr[T any](v T) *T { return &v }

func named(name string) corev1.LocalObjectReference { return corev1.LocalObjectReference{Name: name} }

// files are the files of a volume as a guest sees them, with their permissions.
func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), "..") {
			continue
		}
		real, err := filepath.EvalSymlinks(filepath.Join(dir, entry.Name()))
		if err != nil {
			t.Fatal(err)
		}
		err = filepath.WalkDir(real, func(at string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() {
				return err
			}
			text, err := os.ReadFile(at)
			info, _ := e.Info()
			found[entry.Name()+strings.TrimPrefix(at, real)] = info.Mode().String() + " " + string(text)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return found
}

func TestContent(t *testing.T) {
	c := &cluster{
		configMaps: map[string]map[string]string{"c": {"a": "A", "b": "B"}},
		secrets:    map[string]map[string][]byte{"s": {"k": []byte("S")}},
	}
	configMap := func(s corev1.ConfigMapVolumeSource) corev1.VolumeSource { return corev1.VolumeSource{ConfigMap: &s} }
	secret := func(s corev1.SecretVolumeSource) corev1.VolumeSource { return corev1.VolumeSource{Secret: &s} }
	down := func(path, field string) corev1.DownwardAPIVolumeFile {
		return corev1.DownwardAPIVolumeFile{Path: path, FieldRef: &corev1.ObjectFieldSelector{FieldPath: field}}
	}
	for name, test := range map[string]struct {
		source corev1.VolumeSource
		want   map[string]string
		err    string
	}{
		"configMap": {configMap(corev1.ConfigMapVolumeSource{LocalObjectReference: named("c")}),
			map[string]string{"a": "-rw-r--r-- A", "b": "-rw-r--r-- B", "bin": "-rw-r--r-- \x00\xff"}, ""},
		"items": {configMap(corev1.ConfigMapVolumeSource{LocalObjectReference: named("c"), DefaultMode: ptr(int32(0o777)), Items: []corev1.KeyToPath{
			{Key: "a", Path: "deep/er/x"}, {Key: "b", Path: "deep/y", Mode: ptr(int32(0o400))}}}),
			map[string]string{"deep/er/x": "-rwxrwxrwx A", "deep/y": "-r-------- B"}, ""},
		"missing key": {configMap(corev1.ConfigMapVolumeSource{LocalObjectReference: named("c"), Items: []corev1.KeyToPath{{Key: "x", Path: "x"}}}),
			nil, `MountVolume.SetUp failed for volume "v" : configmap references non-existent config key: x`},
		"optional key": {configMap(corev1.ConfigMapVolumeSource{LocalObjectReference: named("c"), Optional: ptr(true), Items: []corev1.KeyToPath{{Key: "x", Path: "x"}, {Key: "a", Path: "a"}}}),
			map[string]string{"a": "-rw-r--r-- A"}, ""},
		"missing configMap": {configMap(corev1.ConfigMapVolumeSource{LocalObjectReference: named("none")}),
			nil, `MountVolume.SetUp failed for volume "v" : configmap "none" not found`},
		"optional configMap": {configMap(corev1.ConfigMapVolumeSource{LocalObjectReference: named("none"), Optional: ptr(true)}), map[string]string{}, ""},
		"secret":             {secret(corev1.SecretVolumeSource{SecretName: "s", DefaultMode: ptr(int32(0o440))}), map[string]string{"k": "-r--r----- S"}, ""},
		"missing secret":     {secret(corev1.SecretVolumeSource{SecretName: "none"}), nil, `secret "none" not found`},
		"missing secret key": {secret(corev1.SecretVolumeSource{SecretName: "s", Items: []corev1.KeyToPath{{Key: "x", Path: "x"}}}), nil, "references non-existent secret key: x"},
		"downwardAPI": {corev1.VolumeSource{DownwardAPI: &corev1.DownwardAPIVolumeSource{Items: []corev1.DownwardAPIVolumeFile{down("name", "metadata.name"),
			{Path: "r", ResourceFieldRef: &corev1.ResourceFieldSelector{ContainerName: "c", Resource: "limits.cpu"}}}}},
			map[string]string{"name": "-rw-r--r-- p", "r": "-rw-r--r-- c limits.cpu"}, ""},
		"unknown field": {corev1.VolumeSource{DownwardAPI: &corev1.DownwardAPIVolumeSource{Items: []corev1.DownwardAPIVolumeFile{down("x", "spec.x")}}},
			nil, "unsupported fieldPath: spec.x"},
		"projected": {corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{DefaultMode: ptr(int32(0o600)), Sources: []corev1.VolumeProjection{
			{ConfigMap: &corev1.ConfigMapProjection{LocalObjectReference: named("c"), Items: []corev1.KeyToPath{{Key: "a", Path: "same"}}}},
			{Secret: &corev1.SecretProjection{LocalObjectReference: named("s"), Items: []corev1.KeyToPath{{Key: "k", Path: "same"}}}},
			{DownwardAPI: &corev1.DownwardAPIProjection{Items: []corev1.DownwardAPIVolumeFile{down("name", "metadata.name")}}},
			{ConfigMap: &corev1.ConfigMapProjection{LocalObjectReference: named("none"), Optional: ptr(true)}},
		}}}, map[string]string{"same": "-rw------- S", "name": "-rw------- p"}, ""},
		"trust bundle": {corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{{ClusterTrustBundle: &corev1.ClusterTrustBundleProjection{}}}}},
			nil, "clusterTrustBundles"},
		"out of the volume": {configMap(corev1.ConfigMapVolumeSource{LocalObjectReference: named("c"), Items: []corev1.KeyToPath{{Key: "a", Path: "../x"}}}), nil, "invalid path"},
		"hidden":            {configMap(corev1.ConfigMapVolumeSource{LocalObjectReference: named("c"), Items: []corev1.KeyToPath{{Key: "a", Path: "..data"}}}), nil, "invalid path"},
		"absolute":          {configMap(corev1.ConfigMapVolumeSource{LocalObjectReference: named("c"), Items: []corev1.KeyToPath{{Key: "a", Path: "/x"}}}), nil, "invalid path"},
		"nfs":               {corev1.VolumeSource{NFS: &corev1.NFSVolumeSource{}}, nil, "no plugin"},
	} {
		t.Run(name, func(t *testing.T) {
			v := newVolumes(t, c)
			pod := podWith(test.source)
			failed := v.SetUp(t.Context(), pod)
			if test.err != "" {
				if len(failed) != 1 || !strings.Contains(failed[0].Error(), test.err) {
					t.Errorf("got %v, want %q", failed, test.err)
				}
				return
			}
			if len(failed) > 0 {
				t.Fatal(failed)
			}
			mounts, err := v.Mounts(Run{Container: &pod.Spec.Containers[0], Dir: t.TempDir()})
			if err != nil || len(mounts) != 1 || mounts[0].Guest != "/v" || !mounts[0].ReadOnly {
				t.Fatalf("mounts %+v %v", mounts, err)
			}
			if diff := cmp.Diff(test.want, files(t, mounts[0].Host)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestOneBadVolumeOfMany: each volume that cannot be made has an error. A volume that no container
// mounts is ignored.
func TestOneBadVolumeOfMany(t *testing.T) {
	v := newVolumes(t, &cluster{})
	pod := podWith(corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}})
	for _, name := range []string{"bad", "worse", "unused"} {
		pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: name}}})
	}
	pod.Spec.InitContainers = []corev1.Container{{Name: "i", VolumeMounts: []corev1.VolumeMount{{Name: "bad"}, {Name: "worse"}}}}
	failed := v.SetUp(t.Context(), pod)
	if len(failed) != 2 || !strings.Contains(failed[0].Error(), `"bad"`) || !strings.Contains(failed[1].Error(), `"worse"`) {
		t.Errorf("%v", failed)
	}
	if _, err := v.Mounts(Run{Container: &pod.Spec.Containers[0], Dir: t.TempDir()}); err != nil {
		t.Errorf("the good volume: %v", err)
	}
}

func TestRefresh(t *testing.T) {
	c := &cluster{configMaps: map[string]map[string]string{"c": {"a": "1", "gone": "x"}}}
	v := newVolumes(t, c)
	pod := podWith(corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: named("c")}})
	if err := v.Refresh(t.Context(), pod); err != nil || c.fresh > 0 {
		t.Errorf("a refresh before SetUp: %v", err)
	}
	if failed := v.SetUp(t.Context(), pod); len(failed) > 0 || c.fresh != 1 {
		t.Fatalf("%v by %d fresh reads", failed, c.fresh)
	}
	dir := v.made["v"].host
	before, _ := os.Readlink(filepath.Join(dir, dataLink))
	if err := v.Refresh(t.Context(), pod); err != nil || c.fresh != 1 {
		t.Fatalf("%v by %d fresh reads", err, c.fresh)
	}
	if now, _ := os.Readlink(filepath.Join(dir, dataLink)); now != before {
		t.Error("files were written again that have not changed")
	}
	c.configMaps["c"] = map[string]string{"a": "2", "new": "y"}
	if err := v.Refresh(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"a": "-rw-r--r-- 2", "new": "-rw-r--r-- y", "bin": "-rw-r--r-- \x00\xff"}
	if diff := cmp.Diff(want, files(t, dir)); diff != "" {
		t.Error(diff)
	}
	delete(c.configMaps, "c")
	if err := v.Refresh(t.Context(), pod); !apierrors.IsNotFound(err) {
		t.Errorf("a ConfigMap that was deleted: %v", err)
	}
	if diff := cmp.Diff(want, files(t, dir)); diff != "" {
		t.Errorf("the files of a ConfigMap that was deleted: %s", diff)
	}
	v.TearDown()
	if err := Remove(t.Context(), v.Dir); err != nil {
		t.Fatal(err)
	}
	c.configMaps["c"] = map[string]string{"a": "3"}
	if err := v.Refresh(t.Context(), pod); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(v.Dir); !os.IsNotExist(err) {
		t.Errorf("a refresh brought the volumes back: %v", err)
	}
	if failed := v.SetUp(t.Context(), pod); len(failed) != 1 || !errors.Is(failed[0], ErrGone) {
		t.Errorf("a set-up after the end: %v", failed)
	}
}
