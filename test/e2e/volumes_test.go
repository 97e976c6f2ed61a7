package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/krustlet-go/krustlet-wasi/hack/testnode"
)

// TestVolumes runs the tests of volumes in parallel on one node.
func TestVolumes(t *testing.T) {
	s := newSuite(t, "")
	for name, test := range map[string]func(*testing.T, *suite){
		"Content":            testContentVolumes,
		"Update":             testVolumeUpdate,
		"MissingConfigMap":   testMissingConfigMap,
		"SubPath":            testSubPath,
		"HostPath":           testHostPath,
		"Claims":             testClaims,
		"EmptyDir":           testEmptyDir,
		"SizeLimit":          testSizeLimit,
		"Deep":               testDeepFiles,
		"OwnFiles":           testOwnFiles,
		"TerminationMessage": testTerminationMessage,
		"Token":              testToken,
		"Page":               testVolumesPage,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, s)
		})
	}
}

// once is a pod that runs the kitchen's commands and ends.
func (s *suite) once(name string, commands ...string) *corev1.Pod {
	pod := s.pod(name, s.kitchen, append([]string{"each"}, commands...)...)
	pod.Spec.RestartPolicy = corev1.RestartPolicyNever
	return pod
}

// mount adds a volume to a pod, and mounts it in its first container.
func mount(pod *corev1.Pod, name, at string, source corev1.VolumeSource) *corev1.VolumeMount {
	pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: name, VolumeSource: source})
	c := &pod.Spec.Containers[0]
	c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: name, MountPath: at})
	return &c.VolumeMounts[len(c.VolumeMounts)-1]
}

func configMapSource(name string) corev1.VolumeSource {
	return corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: name}}}
}

func (s *suite) configMap(t *testing.T, ns, name string, data map[string]string) *corev1.ConfigMap {
	t.Helper()
	made, err := s.client().CoreV1().ConfigMaps(ns).Create(context.Background(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}, Data: data}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func (s *suite) secret(t *testing.T, ns, name string, data map[string]string) {
	t.Helper()
	_, err := s.client().CoreV1().Secrets(ns).Create(context.Background(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name}, StringData: data}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
}

// volumes is the folder in which the node keeps a pod's volumes.
func (s *suite) volumes(pod *corev1.Pod) string {
	return filepath.Join(s.node.DataDir, "pods", string(pod.UID), "volumes")
}

func (s *suite) expectLog(t *testing.T, pod *corev1.Pod, want string) {
	t.Helper()
	if log := s.finalLog(t, pod.Namespace, pod.Name, corev1.PodSucceeded); strings.TrimSuffix(log, "\n") != strings.TrimSuffix(want, "\n") {
		t.Errorf("%s printed\n%s\nwant\n%s", pod.Name, log, want)
	}
}

func ptr[T any](v T) *T { return &v }

func testContentVolumes(t *testing.T, s *suite) {
	ns := s.cluster.Namespace(t)
	s.configMap(t, ns, "config", map[string]string{"a": "A", "b": "B"})
	s.secret(t, ns, "secret", map[string]string{"password": "hush"})
	pod := s.once("content",
		"ls /config", "readlink /config/a", "cat /config/a", "write /config/a x", "write /config/new x",
		"ls /items", "cat /items/deep/b", "cat /secret/password",
		"ls /all", "cat /all/a", "cat /all/password", "cat /all/name",
		"cat /down/labels", "cat /down/memory", "ls /none", "sleep")
	pod.Labels = map[string]string{"x": "1", "y": "2"}
	pod.Spec.Containers[0].Resources.Limits = corev1.ResourceList{corev1.ResourceMemory: resourceQuantity("64Mi")}
	mount(pod, "config", "/config", configMapSource("config"))
	items := configMapSource("config")
	items.ConfigMap.Items = []corev1.KeyToPath{{Key: "b", Path: "deep/b", Mode: ptr(int32(0o400))}}
	items.ConfigMap.DefaultMode = ptr(int32(0o600))
	mount(pod, "items", "/items", items)
	mount(pod, "secret", "/secret", corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "secret", DefaultMode: ptr(int32(0o440))}})
	name := corev1.DownwardAPIVolumeFile{Path: "name", FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.name"}}
	mount(pod, "all", "/all", corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{
		{ConfigMap: &corev1.ConfigMapProjection{LocalObjectReference: corev1.LocalObjectReference{Name: "config"}, Items: []corev1.KeyToPath{{Key: "a", Path: "a"}}}},
		{Secret: &corev1.SecretProjection{LocalObjectReference: corev1.LocalObjectReference{Name: "secret"}}},
		{DownwardAPI: &corev1.DownwardAPIProjection{Items: []corev1.DownwardAPIVolumeFile{name}}},
	}}})
	mount(pod, "down", "/down", corev1.VolumeSource{DownwardAPI: &corev1.DownwardAPIVolumeSource{Items: []corev1.DownwardAPIVolumeFile{
		{Path: "labels", FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.labels"}},
		{Path: "memory", ResourceFieldRef: &corev1.ResourceFieldSelector{ContainerName: "main", Resource: "limits.memory", Divisor: resourceQuantity("1Mi")}},
	}}})
	none := configMapSource("none")
	none.ConfigMap.Optional = ptr(true)
	mount(pod, "none", "/none", none)
	pod = s.create(t, ns, pod)
	s.awaitPhase(t, ns, "content", corev1.PodRunning)
	log := ""
	testnode.Eventually(t, func() error {
		if log = s.cluster.Kubectl(t, "logs", "-n", ns, "content"); !strings.Contains(log, "sleeping") {
			return errors.New("not done")
		}
		return nil
	})
	for _, want := range []string{
		"$ ls /config\n..2", "..data@\na@\nb@\n$ readlink /config/a\n..data/a\n$ cat /config/a\nA$ write",
		"open /config/a: Read-only file system\n", "open /config/new: Read-only file system\n",
		"..data@\ndeep@\n$ cat /items/deep/b\nB$ cat /secret/password\nhush$",
		"..data@\na@\nname@\npassword@\n$ cat /all/a\nA$ cat /all/password\nhush$ cat /all/name\ncontent$",
		"$ cat /down/labels\nx=\"1\"\ny=\"2\"$ cat /down/memory\n64$",
	} {
		if !strings.Contains(log, want) {
			t.Errorf("no %q in\n%s", want, log)
		}
	}
	if events := s.cluster.Kubectl(t, "events", "-n", ns); strings.Contains(events, "FailedMount") {
		t.Errorf("a pod without fault has been told of one:\n%s", events)
	}
	for path, want := range map[string]os.FileMode{"config/a": 0o644, "items/deep/b": 0o400, "secret/password": 0o440, "all/a": 0o644} {
		info, err := os.Stat(filepath.Join(s.volumes(pod), path))
		if volume, file, _ := strings.Cut(path, "/"); os.IsNotExist(err) { // a volume in memory
			info, err = os.Stat(filepath.Join(s.volumes(pod), volume, "files", file))
		}
		if err != nil || info.Mode() != want {
			t.Errorf("mode of %s: %v %v, want %v", path, info, err, want)
		}
	}
	s.delete(t, pod)
	s.awaitCleared(t, pod)
}

// awaitCleared waits until the node has no files of a pod any more.
func (s *suite) awaitCleared(t *testing.T, pod *corev1.Pod) {
	t.Helper()
	s.awaitGone(t, pod)
	testnode.Eventually(t, func() error {
		if _, err := os.Stat(filepath.Dir(s.volumes(pod))); !os.IsNotExist(err) {
			return fmt.Errorf("pod %s left its folder (%w)", pod.Name, err)
		}
		return nil
	})
}

// testVolumeUpdate: a running guest sees changes of a ConfigMap, unless it mounts a single key by
// subPath.
func testVolumeUpdate(t *testing.T, s *suite) {
	ns := s.cluster.Namespace(t)
	object := s.configMap(t, ns, "config", map[string]string{"key": "before"})
	pod := s.pod("update", s.kitchen, "watch", "/config/key")
	mount(pod, "config", "/config", configMapSource("config"))
	part := *pod.Spec.Containers[0].DeepCopy()
	part.Name, part.Args = "part", []string{"watch", "/key"}
	part.VolumeMounts[0].MountPath, part.VolumeMounts[0].SubPath = "/key", "key"
	pod.Spec.Containers = append(pod.Spec.Containers, part)
	s.create(t, ns, pod)
	log := func(container string) string {
		return s.cluster.Kubectl(t, "logs", "-n", ns, "update", "-c", container)
	}
	s.awaitPhase(t, ns, "update", corev1.PodRunning)
	for _, container := range []string{"main", "part"} {
		testnode.Eventually(t, func() error { return expect(log(container), "before\n") })
	}
	object.Data["key"] = "after"
	if _, err := s.client().CoreV1().ConfigMaps(ns).Update(context.Background(), object, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	testnode.Eventually(t, func() error { return expect(log("main"), "before\nafter\n") })
	if err := expect(log("part"), "before\n"); err != nil {
		t.Errorf("a subPath: %v", err)
	}
}

func expect(got, want string) error {
	if got != want {
		return fmt.Errorf("got %q, want %q", got, want)
	}
	return nil
}

func testMissingConfigMap(t *testing.T, s *suite) {
	ns := s.cluster.Namespace(t)
	pod := s.once("late", "cat /config/key")
	mount(pod, "config", "/config", configMapSource("late"))
	pod = s.create(t, ns, pod)
	s.awaitEvents(t, pod, `FailedMount MountVolume.SetUp failed for volume "config" : configmap "late" not found`)
	s.await(t, ns, "late", func(p *corev1.Pod) error {
		if c := p.Status.ContainerStatuses; len(c) != 1 || c[0].State.Waiting == nil || c[0].State.Waiting.Reason != "ContainerCreating" {
			return errors.New("not ContainerCreating")
		}
		return nil
	})
	s.configMap(t, ns, "late", map[string]string{"key": "there"})
	s.expectLog(t, pod, "$ cat /config/key\nthere")
}

// testSubPath: a subPath leads to a part of its volume, even if a guest has made links in the
// volume.
func testSubPath(t *testing.T, s *suite) {
	ns := s.cluster.Namespace(t)
	pod := s.once("sub", "cat /in/f", "write /new/f by-main", "write /expr/f by-expr", "ls /out")
	up := strings.Repeat("../", 20)
	setup := *pod.Spec.Containers[0].DeepCopy()
	setup.Name = "setup"
	setup.Args = []string{"each", "mkdir /data/real", "write /data/real/f x", "symlink real /data/in", "symlink " + up + "etc /data/out"}
	setup.VolumeMounts = []corev1.VolumeMount{{Name: "data", MountPath: "/data"}}
	pod.Spec.InitContainers = []corev1.Container{setup}
	main := &pod.Spec.Containers[0]
	main.Env = []corev1.EnvVar{{Name: "PART", Value: "of-env"}}
	mount(pod, "data", "/in", corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}).SubPath = "in"
	main.VolumeMounts = append(main.VolumeMounts,
		corev1.VolumeMount{Name: "data", MountPath: "/new", SubPath: "a/b"},
		corev1.VolumeMount{Name: "data", MountPath: "/expr", SubPathExpr: "$(PART)/c"})
	escape := *main.DeepCopy()
	escape.Name = "escape"
	escape.VolumeMounts = []corev1.VolumeMount{{Name: "data", MountPath: "/out", SubPath: "out"}}
	pod.Spec.Containers = append(pod.Spec.Containers, escape)
	pod = s.create(t, ns, pod)
	s.await(t, ns, "sub", func(p *corev1.Pod) error {
		if len(p.Status.ContainerStatuses) != 2 {
			return errors.New("no status yet")
		}
		for _, c := range p.Status.ContainerStatuses {
			switch {
			case c.Name == "main" && c.State.Terminated == nil:
				return errors.New("main has not ended")
			case c.Name == "escape" && (c.State.Waiting == nil || c.State.Waiting.Reason != "CreateContainerConfigError" ||
				!strings.Contains(c.State.Waiting.Message, `failed to prepare subPath for volumeMount "data" of container "escape"`)):
				return fmt.Errorf("escape: %+v", c.State)
			}
		}
		return nil
	})
	if log := s.cluster.Kubectl(t, "logs", "-n", ns, "sub", "-c", "main"); !strings.HasPrefix(log, "$ cat /in/f\nx$ write /new/f by-main\n$ write /expr/f by-expr\n") {
		t.Errorf("main printed\n%s", log)
	}
	for path, want := range map[string]string{"a/b/f": "by-main", "of-env/c/f": "by-expr"} {
		if text, err := os.ReadFile(filepath.Join(s.volumes(pod), "data", path)); string(text) != want {
			t.Errorf("%s holds %q %v, want %q", path, text, err, want)
		}
	}
}

// hostDir is a folder of the host that running workers can open.
func hostDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/var/tmp", "krustlet-e2e-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func testHostPath(t *testing.T, s *suite) {
	ns := s.cluster.Namespace(t)
	dir := hostDir(t)
	if err := os.WriteFile(filepath.Join(dir, "file"), []byte("host"), 0o644); err != nil {
		t.Fatal(err)
	}
	source := func(path string, kind corev1.HostPathType) corev1.VolumeSource {
		return corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: filepath.Join(dir, path), Type: &kind}}
	}
	pod := s.once("host", "cat /all/file", "write /all/by-guest x", "cat /file", "write /read/x y", "write /made/x y", "write /made-file z", "ls /all")
	mount(pod, "all", "/all", source("", corev1.HostPathDirectory))
	mount(pod, "file", "/file", source("file", corev1.HostPathFile))
	pod.Spec.Containers[0].VolumeMounts = append(pod.Spec.Containers[0].VolumeMounts, corev1.VolumeMount{Name: "all", MountPath: "/read", ReadOnly: true})
	mount(pod, "made", "/made", source("made", corev1.HostPathDirectoryOrCreate))
	mount(pod, "made-file", "/made-file", source("made-file", corev1.HostPathFileOrCreate))
	pod = s.create(t, ns, pod)
	s.expectLog(t, pod, "$ cat /all/file\nhost$ write /all/by-guest x\n$ cat /file\nhost$ write /read/x y\nopen /read/x: Read-only file system\n"+
		"$ write /made/x y\n$ write /made-file z\n$ ls /all\nby-guest\nfile\nmade-file\nmade/\n")
	s.delete(t, pod)
	s.awaitCleared(t, pod)
	for path, want := range map[string]string{"file": "host", "by-guest": "x", "made/x": "y", "made-file": "z"} {
		if text, err := os.ReadFile(filepath.Join(dir, path)); string(text) != want {
			t.Errorf("after the pod is gone %s holds %q %v, want %q", path, text, err, want)
		}
	}
	pod = s.once("wrong", "ls /v")
	mount(pod, "v", "/v", source("file", corev1.HostPathDirectory))
	pod = s.create(t, ns, pod)
	s.awaitEvents(t, pod, fmt.Sprintf(`FailedMount MountVolume.SetUp failed for volume "v" : hostPath type check failed: %s/file is not a directory`, dir))
	secret := s.once("credentials", "cat /config/kubeconfig", "cat /data/config/krustlet.key", "write /data/modules/x y")
	mount(secret, "data", "/data", corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: s.node.DataDir}})
	mount(secret, "config", "/config", corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: filepath.Join(s.node.DataDir, "config")}})
	s.create(t, ns, secret)
	if log := s.finalLog(t, ns, "credentials", corev1.PodSucceeded); strings.Count(log, "ermission denied") != 3 {
		t.Errorf("a guest has the node's credentials:\n%s", log)
	}
}

func testClaims(t *testing.T, s *suite) {
	ns := s.cluster.Namespace(t)
	ctx := context.Background()
	dir := hostDir(t)
	empty := ""
	for name, source := range map[string]corev1.PersistentVolumeSource{
		"host":  {HostPath: &corev1.HostPathVolumeSource{Path: dir}},
		"local": {Local: &corev1.LocalVolumeSource{Path: dir}},
	} {
		pv := &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: ns + "-" + name}, Spec: corev1.PersistentVolumeSpec{
			Capacity:               corev1.ResourceList{corev1.ResourceStorage: resourceQuantity("1Gi")},
			AccessModes:            []corev1.PersistentVolumeAccessMode{corev1.ReadWriteMany},
			PersistentVolumeSource: source,
			ClaimRef:               &corev1.ObjectReference{Namespace: ns, Name: name},
		}}
		if source.Local != nil {
			pv.Spec.NodeAffinity = &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
				MatchExpressions: []corev1.NodeSelectorRequirement{{Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpIn, Values: []string{s.node.Name}}},
			}}}}
		}
		if _, err := s.client().CoreV1().PersistentVolumes().Create(ctx, pv, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.client().CoreV1().PersistentVolumes().Delete(ctx, pv.Name, metav1.DeleteOptions{}) })
		pvc := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: pv.Spec.AccessModes, StorageClassName: &empty, VolumeName: pv.Name,
			Resources: corev1.VolumeResourceRequirements{Requests: pv.Spec.Capacity},
		}}
		if _, err := s.client().CoreV1().PersistentVolumeClaims(ns).Create(ctx, pvc, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	pod := s.once("claims", "write /a/x claimed", "cat /b/x", "write /b/y z")
	claim := func(name string, readOnly bool) corev1.VolumeSource {
		return corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: name, ReadOnly: readOnly}}
	}
	mount(pod, "a", "/a", claim("host", false))
	mount(pod, "b", "/b", claim("local", true))
	pod = s.create(t, ns, pod)
	s.expectLog(t, pod, "$ write /a/x claimed\n$ cat /b/x\nclaimed$ write /b/y z\nopen /b/y: Read-only file system\n")
	s.delete(t, pod)
	s.awaitCleared(t, pod)
	if text, err := os.ReadFile(filepath.Join(dir, "x")); string(text) != "claimed" {
		t.Errorf("after the pod is gone the volume holds %q %v", text, err)
	}
}

// testSizeLimit: if a pod's volume exceeds its limit, the pod is evicted, and the volume is
// removed.
func testSizeLimit(t *testing.T, s *suite) {
	ns := s.cluster.Namespace(t)
	pod := s.pod("full", s.kitchen, "each", "write /data/x "+strings.Repeat("x", 100<<10), "sleep")
	mount(pod, "data", "/data", corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{SizeLimit: ptr(resourceQuantity("64Ki"))}})
	s.create(t, ns, pod)
	pod = s.awaitPhase(t, ns, "full", corev1.PodFailed)
	const message = `Usage of EmptyDir volume "data" exceeds the limit "64Ki". `
	if pod.Status.Reason != "Evicted" || pod.Status.Message != message {
		t.Errorf("reason %q, message %q", pod.Status.Reason, pod.Status.Message)
	}
	s.awaitEvents(t, pod, "Evicted "+message)
	testnode.Eventually(t, func() error {
		if _, err := os.Stat(s.volumes(pod)); !os.IsNotExist(err) {
			return fmt.Errorf("the volume is still there (%w)", err)
		}
		return nil
	})
}

// testDeepFiles: a guest puts files deeper than any path can reach. They still count, so the pod is
// evicted, and all of them are removed.
func testDeepFiles(t *testing.T, s *suite) {
	ns := s.cluster.Namespace(t)
	pod := s.pod("deep", s.kitchen, "each", "deep /tmp 5000 0", "deep /data 300 12", "sleep")
	mount(pod, "data", "/data", corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{SizeLimit: ptr(resourceQuantity("10Mi"))}})
	s.create(t, ns, pod)
	pod = s.awaitPhase(t, ns, "deep", corev1.PodFailed)
	const message = `Usage of EmptyDir volume "data" exceeds the limit "10Mi". `
	if pod.Status.Reason != "Evicted" || pod.Status.Message != message {
		t.Errorf("reason %q, message %q", pod.Status.Reason, pod.Status.Message)
	}
	s.delete(t, pod)
	s.awaitCleared(t, pod)
}

// testEmptyDir: the containers of a pod share an emptyDir. A mount may be inside another.
// Everything is removed with the pod.
func testEmptyDir(t *testing.T, s *suite) {
	ns := s.cluster.Namespace(t)
	s.configMap(t, ns, "config", map[string]string{"key": "nested"})
	pod := s.once("empty", "cat /data/from-init", "write /data/more x", "cat /data/deep/config/key", "ls /data", "write /memory/x y", "cat /memory/x")
	mount(pod, "data", "/data", corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}})
	mount(pod, "config", "/data/deep/config", configMapSource("config"))
	mount(pod, "memory", "/memory", corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{Medium: corev1.StorageMediumMemory, SizeLimit: ptr(resourceQuantity("1Mi"))}})
	setup := *pod.Spec.Containers[0].DeepCopy()
	setup.Name, setup.Args = "setup", []string{"write", "/data/from-init", "hello"}
	pod.Spec.InitContainers = []corev1.Container{setup}
	pod = s.create(t, ns, pod)
	s.expectLog(t, pod, "$ cat /data/from-init\nhello$ write /data/more x\n$ cat /data/deep/config/key\nnested$ ls /data\ndeep/\nfrom-init\nmore\n"+
		"$ write /memory/x y\n$ cat /memory/x\ny")
	s.delete(t, pod)
	s.awaitCleared(t, pod)
	if table, err := os.ReadFile("/proc/self/mountinfo"); err != nil || strings.Contains(string(table), string(pod.UID)) {
		t.Errorf("the deleted pod left something mounted (%v):\n%s", err, table)
	}
}

// TestVolumesAcrossAgents: after its agent was replaced, a guest still sees changes. It does not
// notice the replacement.
func TestVolumesAcrossAgents(t *testing.T) {
	t.Parallel()
	s := newSuite(t, "")
	ns := s.cluster.Namespace(t)
	object := s.configMap(t, ns, "config", map[string]string{"key": "before"})
	pod := s.pod("update", s.kitchen, "watch", "/config/key")
	mount(pod, "config", "/config", configMapSource("config"))
	s.create(t, ns, pod)
	gone := s.pod("gone", s.kitchen, "sleep")
	mount(gone, "memory", "/memory", corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{Medium: corev1.StorageMediumMemory}})
	gone = s.create(t, ns, gone)
	s.awaitPhase(t, ns, "gone", corev1.PodRunning)
	before := s.steady(t, ns, "update")
	s.node.Kill(t)
	s.cluster.Kubectl(t, "delete", "pod", "-n", ns, "gone", "--grace-period=0", "--force")
	s.node.Start(t)
	s.node.WaitReady(t)
	log := func() string { return s.cluster.Kubectl(t, "logs", "-n", ns, "update") }
	testnode.Eventually(t, func() error { return expect(log(), "before\n") })
	object.Data["key"] = "after"
	if _, err := s.client().CoreV1().ConfigMaps(ns).Update(context.Background(), object, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	testnode.Eventually(t, func() error { return expect(log(), "before\nafter\n") })
	if after := s.steady(t, ns, "update"); after.ContainerID != before.ContainerID {
		t.Errorf("the container was %+v and is %+v", before, after)
	}
	s.awaitCleared(t, gone)
}
