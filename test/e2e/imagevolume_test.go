package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/crane"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	corev1 "k8s.io/api/core/v1"

	"github.com/krustlet-go/krustlet-wasi/hack/testnode"
)

// TestImageVolumes: pods see the files of images, whatever the image's purpose is.
func TestImageVolumes(t *testing.T) {
	s := newSuite(t, "")
	t.Run("pods", func(t *testing.T) {
		for name, test := range map[string]func(*testing.T, *suite){
			"files": testImageFiles, "artifact": testImageArtifact, "errors": testImageVolumeErrors, "again": testImageAgain,
		} {
			t.Run(name, func(t *testing.T) { t.Parallel(); test(t, s) })
		}
	})
	testImagesAreKept(t, s)
}

// pushFiles publishes a Linux image with these files, by their paths. It is for a processor that no
// test machine has.
func pushFiles(t *testing.T, s *suite, tag string, files map[string][]byte) string {
	t.Helper()
	layer, err := crane.Layer(files)
	if err != nil {
		t.Fatal(err)
	}
	image, err := mutate.ConfigFile(empty.Image, &v1.ConfigFile{OS: "linux", Architecture: "s390x"})
	if err == nil {
		image, err = mutate.AppendLayers(image, layer)
	}
	if err != nil {
		t.Fatal(err)
	}
	return pushImage(t, s, tag, image)
}

func pushImage(t *testing.T, s *suite, tag string, image v1.Image) string {
	t.Helper()
	ref, err := name.ParseReference(s.images.Host + "/" + tag)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(ref, image); err != nil {
		t.Fatal(err)
	}
	return ref.String()
}

func imageSource(image string) corev1.VolumeSource {
	return corev1.VolumeSource{Image: &corev1.ImageVolumeSource{Reference: image}}
}

// roots are the folders of the node's store that have this file.
func (s *suite) roots(t *testing.T, file string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(s.node.DataDir, "modules", "rootfs", "*", "fs", file))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// testImageFiles: pods see all of an image's files or a part of them. They share the files, and
// cannot change them.
func testImageFiles(t *testing.T, s *suite) {
	ns := s.cluster.Namespace(t)
	image := pushFiles(t, s, "files:v1", map[string][]byte{"share/one/motd": []byte("hello\n"), "share/two": []byte("2\n"), "bin/program": []byte("\x7fELF")})
	s.class(t, "wasmtime-isolated")
	for _, name := range []string{"one", "two", "alone"} {
		pod := s.once(name, "ls /data", "cat /data/share/one/motd", "cat /part/motd", "cat /by-name/motd", "cat /file",
			"write /data/share/two x", "write /data/new x", "rm /part/motd", "mkdir /by-name/x", "write /file x")
		pod.Spec.Containers[0].Env = []corev1.EnvVar{{Name: "PART", Value: "one"}}
		mount(pod, "image", "/data", imageSource(image))
		for _, m := range []corev1.VolumeMount{
			{MountPath: "/part", SubPath: "share/one"}, {MountPath: "/by-name", SubPathExpr: "share/$(PART)"}, {MountPath: "/file", SubPath: "share/two"},
		} {
			m.Name = "image"
			pod.Spec.Containers[0].VolumeMounts = append(pod.Spec.Containers[0].VolumeMounts, m)
		}
		if name == "alone" {
			pod.Spec.RuntimeClassName = ptr("wasmtime-isolated")
		}
		pod = s.create(t, ns, pod)
		log := s.finalLog(t, ns, name, corev1.PodSucceeded)
		want := "$ ls /data\nbin/\nshare/\n$ cat /data/share/one/motd\nhello\n$ cat /part/motd\nhello\n$ cat /by-name/motd\nhello\n$ cat /file\n2\n$ write "
		if !strings.HasPrefix(log, want) || strings.Count(log, "Read-only file system\n") != 5 {
			t.Errorf("pod %s printed\n%s", name, log)
		}
		event := fmt.Sprintf("Pulled Successfully pulled image %q in ", image)
		if name != "one" {
			event = fmt.Sprintf("Pulled Container image %q already present on machine", image)
		}
		s.awaitEvents(t, pod, event)
	}
	if all := s.roots(t, "share/one/motd"); len(all) != 1 {
		t.Errorf("the image is unpacked at %v", all)
	}
	if content, err := os.ReadFile(s.roots(t, "share/two")[0]); err != nil || string(content) != "2\n" {
		t.Errorf("the image has %q by now, %v", content, err)
	}
}

// testImageArtifact: an artifact that is not a file system shows one file for each layer. A module
// is such an artifact.
func testImageArtifact(t *testing.T, s *suite) {
	ns := s.cluster.Namespace(t)
	config := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), "application/vnd.example.model+json")
	model, err := mutate.Append(config,
		mutate.Addendum{Layer: static.NewLayer([]byte("weights\n"), "application/octet-stream"), Annotations: map[string]string{"org.opencontainers.image.title": "model.bin"}},
		mutate.Addendum{Layer: static.NewLayer([]byte("words\n"), "text/plain"), Annotations: map[string]string{"org.opencontainers.image.title": "vocabulary.txt"}})
	if err != nil {
		t.Fatal(err)
	}
	pod := s.once("artifact", "ls /model", "cat /model/model.bin", "cat /vocabulary", "ls /module")
	mount(pod, "model", "/model", imageSource(pushImage(t, s, "model:v1", model)))
	mount(pod, "module", "/module", imageSource(s.tiny))
	c := &pod.Spec.Containers[0]
	c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: "model", MountPath: "/vocabulary", SubPath: "vocabulary.txt"})
	s.create(t, ns, pod)
	want := "$ ls /model\nmodel.bin\nvocabulary.txt\n$ cat /model/model.bin\nweights\n$ cat /vocabulary\nwords\n$ ls /module\ntiny.wasm\n"
	if log := s.finalLog(t, ns, "artifact", corev1.PodSucceeded); log != want {
		t.Errorf("got\n%swant\n%s", log, want)
	}
}

// testImageVolumeErrors: if the node cannot get a volume's image, or the image does not have the
// part, the container that mounts it waits. The reasons are those of a container's own image.
func testImageVolumeErrors(t *testing.T, s *suite) {
	ns := s.cluster.Namespace(t)
	missing := s.images.Host + "/appears:v1"
	part := pushFiles(t, s, "parts:v1", map[string][]byte{"there": []byte("yes\n")})
	for _, tt := range []struct {
		pod, image, subPath string
		policy              corev1.PullPolicy
		reasons             []string
		message             string
		events              []string
	}{
		{"missing", missing, "", "", []string{"ErrImagePull", "ImagePullBackOff"}, "appears:v1",
			[]string{fmt.Sprintf("Failed Failed to pull image %q: ", missing), "Failed Error: ErrImagePull", fmt.Sprintf("BackOff Back-off pulling image %q", missing)}},
		{"never", s.images.Host + "/never-pulled:v1", "", corev1.PullNever, []string{"ErrImageNeverPull", "ImagePullBackOff"}, "is not present with pull policy of Never",
			[]string{"ErrImageNeverPull Container image "}},
		{"local", "fs//etc", "", "", []string{"InvalidImageName", "ImagePullBackOff"}, "hostPath", []string{"Failed Error: InvalidImageName"}},
		{"part", part, "none", "", []string{"CreateContainerError"}, "ImageVolumeMountFailed", []string{"Failed Error: ImageVolumeMountFailed: "}},
	} {
		pod := s.once(tt.pod, "cat /data/there")
		mount(pod, "image", "/data", imageSource(tt.image)).SubPath = tt.subPath
		pod.Spec.Volumes[0].Image.PullPolicy = tt.policy
		pod = s.create(t, ns, pod)
		s.await(t, ns, tt.pod, func(p *corev1.Pod) error {
			c := p.Status.ContainerStatuses
			if len(c) != 1 || c[0].State.Waiting == nil {
				return errors.New("not waiting")
			}
			if got := c[0].State.Waiting; !strings.Contains(strings.Join(tt.reasons, " "), got.Reason) || !strings.Contains(got.Message, tt.message) {
				return fmt.Errorf("waits for %s: %s", got.Reason, got.Message)
			}
			return nil
		})
		s.awaitEvents(t, pod, tt.events...)
	}
	// Now the image exists, and the pod runs at the next try.
	pushFiles(t, s, "appears:v1", map[string][]byte{"there": []byte("yes\n")})
	if log := s.finalLog(t, ns, "missing", corev1.PodSucceeded); log != "$ cat /data/there\nyes\n" {
		t.Errorf("printed %q", log)
	}
}

// testImageAgain: if the volume's image must always be pulled, a restarted container sees the
// newest image.
func testImageAgain(t *testing.T, s *suite) {
	ns := s.cluster.Namespace(t)
	image := pushFiles(t, s, "moves:v1", map[string][]byte{"version": []byte("first\n")})
	pod := s.pod("again", s.kitchen, "each", "cat /data/version", "exit 3")
	mount(pod, "image", "/data", imageSource(image))
	pod.Spec.Volumes[0].Image.PullPolicy = corev1.PullAlways
	s.create(t, ns, pod)
	prints := func(want string) {
		t.Helper()
		testnode.Eventually(t, func() error {
			cmd, out := s.kubectl(t, "logs", "-n", ns, "again") // it fails while the next run is prepared
			if err := cmd.Run(); err != nil || out.String() != "$ cat /data/version\n"+want+"\n$ exit 3\n" {
				return errors.Join(err, fmt.Errorf("it printed %q", out))
			}
			return nil
		})
	}
	prints("first")
	pushFiles(t, s, "moves:v1", map[string][]byte{"version": []byte("second\n")})
	prints("second")
}

// testImagesAreKept: the images that pods see stay, even if their tag means another image now,
// another agent runs, and unused images are removed.
func testImagesAreKept(t *testing.T, s *suite) {
	ns := s.cluster.Namespace(t)
	image := pushFiles(t, s, "kept:v1", map[string][]byte{"kept-1": []byte("old\n")})
	show := func(name, image, file string) *corev1.Pod {
		pod := s.pod(name, s.kitchen, "watch", "/data/"+file)
		mount(pod, "image", "/data", imageSource(image))
		pod.Spec.Volumes[0].Image.PullPolicy = corev1.PullAlways
		pod = s.create(t, ns, pod)
		s.awaitPhase(t, ns, name, corev1.PodRunning)
		return pod
	}
	show("holds", image, "kept-1")
	pushFiles(t, s, "kept:v1", map[string][]byte{"kept-2": []byte("new\n")})
	show("newer", image, "kept-2")
	goes := show("goes", pushFiles(t, s, "gone:v1", map[string][]byte{"gone": []byte("x")}), "gone")
	s.delete(t, goes)
	s.awaitGone(t, goes)
	if out, err := s.imageCommand(t, "rm", image); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("removing what a pod is shown: %s, %v", out, err)
	}

	s.node.Stop(t)
	s.node.Args = append(s.node.Args, "--image-gc-high-threshold=1", "--image-gc-low-threshold=0", "--minimum-image-ttl-duration=0s")
	s.node.Start(t)
	s.node.WaitReady(t)
	testnode.Eventually(t, func() error {
		if left := s.roots(t, "gone"); len(left) > 0 {
			return fmt.Errorf("no pod uses %v", left)
		}
		return nil
	})
	for name, want := range map[string]string{"holds": "old\n", "newer": "new\n"} {
		file := map[string]string{"holds": "kept-1", "newer": "kept-2"}[name]
		if out := s.cluster.Kubectl(t, "exec", "-n", ns, name, "--", "kitchen", "cat", "/data/"+file); out != want {
			t.Errorf("%s is shown %q", name, out)
		}
		if pod, err := s.get(ns, name); err != nil || pod.Status.ContainerStatuses[0].RestartCount != 0 {
			t.Errorf("%s did not go on: %+v, %v", name, pod.Status, err)
		}
	}
}
