package podsync

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/record"

	"github.com/krustlet-go/krustlet-wasi/hack/testpod"
	"github.com/krustlet-go/krustlet-wasi/podsync/podfiles"
	"github.com/krustlet-go/krustlet-wasi/registry"
)

// gallery is a fake store. It has every image that runs. For images of volumes, the first pulls
// fail, as many as failures says.
type gallery struct {
	images
	files images
	root  registry.Root
}

func (s *gallery) LookupFiles(ctx context.Context, image string, keys registry.Keys) (registry.Module, bool, error) {
	m, present, err := s.files.Lookup(ctx, image, keys)
	m.Root = &s.root
	return m, present, err
}

func (s *gallery) PullFiles(ctx context.Context, image string, keys registry.Keys) (registry.Pulled, error) {
	p, err := s.files.PullToRun(ctx, image, keys)
	p.Root, p.ImageID = &s.root, image+"@sha256:0"
	return p, err
}

// showing is a pod with two containers. Only container a mounts a volume with an image.
func showing() *corev1.Pod {
	pod := testpod.New(corev1.RestartPolicyAlways, "a", "b")
	pod.Spec.Volumes = []corev1.Volume{{Name: "v", VolumeSource: corev1.VolumeSource{
		Image: &corev1.ImageVolumeSource{Reference: "r.example/files", PullPolicy: corev1.PullIfNotPresent},
	}}}
	pod.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "v", MountPath: "/v"}}
	return pod
}

// TestImageVolumeIsPulled: only the container that mounts a volume waits for its image, with the
// back-off of pulls. Then the container sees the image's folder. The image counts as used as long
// as the pod exists.
func TestImageVolumeIsPulled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		e, events := &engine{}, record.NewFakeRecorder(1000)
		s := prepareShell(t, showing(), e, &images{}, false)
		s.settings.Events = events
		s.settings.Images = &gallery{files: images{failures: 2}, root: registry.Root{Dir: t.TempDir()}}
		s.launch(ctx)
		waits := func(reason, message string) {
			t.Helper()
			pod, _ := s.object()
			c := pod.Status.ContainerStatuses
			if w := c[0].State.Waiting; w == nil || w.Reason != reason || !strings.Contains(w.Message, message) {
				t.Errorf("a: %+v, want %s", c[0].State, reason)
			}
			if c[1].State.Running == nil {
				t.Errorf("b: %+v", c[1].State)
			}
		}
		pass(time.Second)
		waits("ErrImagePull", "registry away")
		pass(5 * time.Second)
		waits("ImagePullBackOff", `Back-off pulling image "r.example/files": ErrImagePull: registry away`)
		pass(time.Minute)
		all := e.all()
		i := slices.IndexFunc(all, func(g *guest) bool { return g.spec.Of.Container == "a" })
		if i < 0 {
			t.Fatal("a does not run though the image is there")
		}
		mounted := false
		for _, m := range all[i].spec.Mounts {
			mounted = mounted || m.Guest == "/v" && m.ReadOnly
		}
		if !mounted {
			t.Errorf("a sees %+v", all[i].spec.Mounts)
		}
		got := drain(events)
		for _, want := range []string{
			`Normal Pulling Pulling image "r.example/files"`, `Warning Failed Failed to pull image "r.example/files": registry away`,
			"Warning Failed Error: ErrImagePull", `Normal BackOff Back-off pulling image "r.example/files"`,
		} {
			if !slices.Contains(got, want) {
				t.Errorf("no event %q among %q", want, got)
			}
		}
		if n := gathered(t, s.loop.node.Metrics)["kubelet_image_volume_mounted_succeed_total"]; n != 1 {
			t.Errorf("%v mounts are counted", n)
		}
		if used := s.loop.node.shownTo(showing()); !slices.Equal(used, []string{"r.example/files", "r.example/files@sha256:0"}) {
			t.Errorf("in use are %q", used)
		}
		if used, err := podfiles.ImagesOnDisk(s.settings.DataDir); err != nil || !slices.Contains(used, "r.example/files@sha256:0") {
			t.Errorf("on disk there are %q, %v", used, err)
		}
		cancel()
		<-s.ended
	})
}
