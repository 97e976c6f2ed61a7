package podsync

import (
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/krustlet-go/krustlet-wasi/registry"
)

func TestExpand(t *testing.T) {
	env := []corev1.EnvVar{{Name: "A", Value: "1"}, {Name: "B", Value: "$(A)"}}
	for in, want := range map[string]string{
		"":             "",
		"plain":        "plain",
		"$(A)":         "1",
		"x$(A)y$(A)z":  "x1y1z",
		"$(B)":         "$(A)", // what came of an expansion is not expanded again
		"$$(A)":        "$(A)",
		"$$$(A)":       "$1",
		"$$$$(A)":      "$$(A)",
		"$(NOPE)":      "$(NOPE)",
		"$(A":          "$(A",
		"$":            "$",
		"$$":           "$",
		"cost: $5":     "cost: $5",
		"$()":          "$()",
		"$(A)$":        "1$",
		"(A) $A ${A}":  "(A) $A ${A}",
		"$(A B) $(A)":  "$(A B) 1",
		"é$(A)ü":       "é1ü",
		"$(A$(A))":     "$(A$(A))",
		"a ) $(A) b )": "a ) 1 b )",
	} {
		if got := expand(in, env); got != want {
			t.Errorf("expand(%q) = %q, want %q", in, got, want)
		}
	}
}

func FuzzExpand(f *testing.F) {
	for _, seed := range []string{"$(A)", "$$(A)", "$(", "x$(NOPE)y", "$)$($"} {
		f.Add(seed)
	}
	env := []corev1.EnvVar{{Name: "A", Value: "value"}}
	f.Fuzz(func(t *testing.T, text string) {
		got := expand(text, env)
		if !strings.Contains(text, "$") && got != text {
			t.Errorf("expand(%q) = %q, and there is nothing to expand", text, got)
		}
		if escaped := strings.ReplaceAll(text, "$", "$$"); expand(escaped, env) != text {
			t.Errorf("expand(%q) = %q: an escaped text does not come back", escaped, expand(escaped, env))
		}
	})
}

func TestContainerSpec(t *testing.T) {
	pod := testPod(corev1.RestartPolicyAlways, "a")
	module := registry.Module{Path: "/m.wasm", Digest: "sha256:1", Image: "registry.test:5000/team/tool:v1@sha256:2"}
	c := corev1.Container{
		Name: "a", Args: []string{"--who=$(WHO)", "x"}, WorkingDir: "/data",
		Env:       []corev1.EnvVar{{Name: "WHO", Value: "me"}, {Name: "TWICE", Value: "$(WHO)$(WHO)"}, {Name: "WHO", Value: "you, not $(WHO)"}},
		Resources: corev1.ResourceRequirements{Limits: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("64Mi")}},
	}
	spec, err := containerSpec(pod, &c, module)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"tool", "--who=you, not me", "x"}; !slices.Equal(spec.Args, want) {
		t.Errorf("args %q, want %q", spec.Args, want)
	}
	if want := []string{"HOSTNAME=p", "TWICE=meme", "WHO=you, not me"}; !slices.Equal(spec.Env, want) {
		t.Errorf("env %q, want %q", spec.Env, want)
	}
	if spec.MemoryLimit != 64<<20 || spec.WorkDir != "/data" || spec.Module != "/m.wasm" {
		t.Errorf("spec %+v", spec)
	}
	c.Command = []string{"/bin/$(WHO)"}
	if spec, err = containerSpec(pod, &c, module); err != nil || spec.Args[0] != "/bin/you, not me" || len(spec.Args) != 3 {
		t.Errorf("with a command: args %q, %v", spec.Args, err)
	}
	pod.Spec.Hostname = "named"
	if spec, _ = containerSpec(pod, &c, module); !slices.Contains(spec.Env, "HOSTNAME=named") {
		t.Errorf("env %q lacks the pod's hostname", spec.Env)
	}

	for what, broken := range map[string]corev1.Container{
		"valueFrom":  {Env: []corev1.EnvVar{{Name: "X", ValueFrom: &corev1.EnvVarSource{}}}},
		"envFrom":    {EnvFrom: []corev1.EnvFromSource{{}}},
		"workingDir": {WorkingDir: "relative"},
	} {
		if _, err := containerSpec(pod, &broken, module); err == nil {
			t.Errorf("%s is taken", what)
		}
	}
}

func TestEntrypoint(t *testing.T) {
	for image, want := range map[string]string{
		"hello": "hello", "hello:v1": "hello", "127.0.0.1:5000/hello": "hello", "a/b/hello@sha256:0": "hello", "fs//opt/tool.wasm": "tool.wasm",
	} {
		if got := entrypoint(registry.Module{Image: image}); got != want {
			t.Errorf("entrypoint of %s is %q, want %q", image, got, want)
		}
	}
}

func TestUnsupported(t *testing.T) {
	pod := testPod(corev1.RestartPolicyAlways, "init", "a")
	pod.Spec.Volumes = []corev1.Volume{{Name: "kube-api-access-x", VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{}}}}
	if err := unsupported(pod); err != nil {
		t.Errorf("a pod with the service account's token: %v", err)
	}
	always := corev1.ContainerRestartPolicyAlways
	pod.Spec.InitContainers[0].RestartPolicy = &always
	if err := unsupported(pod); err == nil || !strings.Contains(err.Error(), `init container "init"`) {
		t.Errorf("a sidecar: %v", err)
	}
	pod = testPod(corev1.RestartPolicyAlways, "a")
	pod.Spec.Volumes = []corev1.Volume{{Name: "v", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}}
	if err := unsupported(pod); err == nil || !strings.Contains(err.Error(), `volume "v"`) {
		t.Errorf("a volume: %v", err)
	}
}
