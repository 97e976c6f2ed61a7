package podsync

import (
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/krustlet-go/krustlet-wasi/hack/testpod"
	"github.com/krustlet-go/krustlet-wasi/registry"
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

func TestContainerSpec(t *testing.T) {
	module := registry.Module{Path: "/m.wasm", Digest: "sha256:1", Image: "registry.test:5000/team/tool:v1@sha256:2"}
	c := corev1.Container{
		Name: "a", Args: []string{"--who=$(WHO)", "x"}, WorkingDir: "/data",
		Resources: corev1.ResourceRequirements{Limits: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("64Mi")}},
	}
	env := []corev1.EnvVar{{Name: "WHO", Value: "you"}, {Name: "EMPTY"}}
	spec, err := containerSpec(&corev1.Pod{}, &c, module, env)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"tool", "--who=you", "x"}; !slices.Equal(spec.Args, want) {
		t.Errorf("args %q, want %q", spec.Args, want)
	}
	if want := []string{"WHO=you", "EMPTY="}; !slices.Equal(spec.Env, want) {
		t.Errorf("env %q, want %q", spec.Env, want)
	}
	if spec.MemoryLimit != 64<<20 || spec.WorkDir != "/data" || spec.Module != "/m.wasm" {
		t.Errorf("spec %+v", spec)
	}
	c.Command = []string{"/bin/$(WHO)"}
	if spec, err = containerSpec(&corev1.Pod{}, &c, module, env); err != nil || spec.Args[0] != "/bin/you" || len(spec.Args) != 3 {
		t.Errorf("with a command: args %q, %v", spec.Args, err)
	}
	c.WorkingDir = "relative"
	if _, err := containerSpec(&corev1.Pod{}, &c, module, env); err == nil {
		t.Error("a relative workingDir is taken")
	}
}

// TestContainerSpecOfImage: the image sets what the container does not set.
func TestContainerSpecOfImage(t *testing.T) {
	module := registry.Module{Path: "/m.wasm", Digest: "sha256:1", Config: &registry.ImageConfig{
		Entrypoint: []string{"/app.wasm", "$(A)"}, Cmd: []string{"x"}, Env: []string{"A=image", "PATH=/bin"}, WorkingDir: "/image",
	}}
	env := []corev1.EnvVar{{Name: "A", Value: "pod"}}
	for _, tt := range []struct {
		c       corev1.Container
		args    []string
		workDir string
	}{
		// Variables in the image's arguments are not expanded.
		{corev1.Container{}, []string{"/app.wasm", "$(A)", "x"}, "/image"},
		{corev1.Container{Args: []string{"$(A)"}, WorkingDir: "/pod"}, []string{"/app.wasm", "$(A)", "pod"}, "/pod"},
		{corev1.Container{Command: []string{"tool"}}, []string{"tool"}, "/image"},
	} {
		spec, err := containerSpec(&corev1.Pod{}, &tt.c, module, env)
		if err != nil || !slices.Equal(spec.Args, tt.args) || spec.WorkDir != tt.workDir || !slices.Equal(spec.Env, []string{"PATH=/bin", "A=pod"}) {
			t.Errorf("%+v: %+v, %v", tt.c, spec, err)
		}
	}
}

func TestUnsupported(t *testing.T) {
	pod := testpod.New(corev1.RestartPolicyAlways, "init", "a")
	if err := unsupported(pod); err != nil {
		t.Error(err)
	}
	pod.Spec.Containers[0].VolumeDevices = []corev1.VolumeDevice{{Name: "v", DevicePath: "/dev/v"}}
	if err := unsupported(pod); err == nil || !strings.Contains(err.Error(), "block devices") {
		t.Errorf("a block device: %v", err)
	}
}

// The limit of a whole pod limits the containers that have no limit of their own.
func TestPodLimits(t *testing.T) {
	list := func(memory, cpu string) corev1.ResourceList {
		all := corev1.ResourceList{}
		for name, value := range map[corev1.ResourceName]string{corev1.ResourceMemory: memory, corev1.ResourceCPU: cpu} {
			if value != "" {
				all[name] = resource.MustParse(value)
			}
		}
		return all
	}
	for _, tt := range []struct {
		pod, own corev1.ResourceList
		want     runtime.Limits
	}{
		{nil, nil, runtime.Limits{}},
		{nil, list("1Mi", "100m"), runtime.Limits{Memory: 1 << 20, CPU: 100}},
		{list("2Mi", "1"), nil, runtime.Limits{Memory: 2 << 20, CPU: 1000}},
		{list("2Mi", "1"), list("1Mi", ""), runtime.Limits{Memory: 1 << 20, CPU: 1000}},
	} {
		pod := &corev1.Pod{}
		if tt.pod != nil {
			pod.Spec.Resources = &corev1.ResourceRequirements{Limits: tt.pod}
		}
		if got := limitsOf(pod, corev1.ResourceRequirements{Limits: tt.own}); got != tt.want {
			t.Errorf("pod %v, container %v: %+v, want %+v", tt.pod, tt.own, got, tt.want)
		}
	}
}
