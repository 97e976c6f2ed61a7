package podsync

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/krustlet-go/krustlet-wasi/registry"
	"github.com/krustlet-go/krustlet-wasi/runtime"
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

// TestSockets: a pod has listening sockets for its TCP ports, on the node's address only if it asks for them or is in the host's
// network, where a port may be for another address.
// docs/security.md: "a guest can use sockets that it is handed; pods' guests are handed listening ones, on [their pod's address](networking.md) and the ports that its spec names"
func TestSockets(t *testing.T) {
	pod := testPod(corev1.RestartPolicyAlways, "a")
	c := &pod.Spec.Containers[0]
	c.Ports = []corev1.ContainerPort{
		{ContainerPort: 80, HostIP: "0.0.0.0"}, {ContainerPort: 53, Protocol: corev1.ProtocolUDP},
		{ContainerPort: 8080, HostIP: "127.0.0.8", Protocol: corev1.ProtocolTCP},
	}
	nodes := place{known: true}
	two := place{known: true, own: []netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("fd00::1")}}
	onNode := []string{"127.0.0.9:80", "127.0.0.9:8080"}
	onHost := []string{"127.0.0.9:80", "127.0.0.8:8080"}
	own := []string{"10.0.0.1:80", "10.0.0.1:8080", "[fd00::1]:80", "[fd00::1]:8080"}
	for _, tt := range []struct {
		annotation string
		host       bool
		place      place
		want       []string
	}{
		{"", false, nodes, nil}, {"true", false, nodes, onNode}, {"false", false, nodes, nil},
		{"", false, two, own}, {"true", false, two, own}, {"false", false, two, nil}, {"?", false, two, own},
		{"", true, nodes, onHost}, {"true", true, nodes, onHost}, {"false", true, nodes, nil},
	} {
		pod.Annotations = map[string]string{"krustlet-wasi.dev/listen": tt.annotation}
		pod.Spec.HostNetwork = tt.host
		if got := sockets(pod, c, reachOf(pod, tt.place, testAddress)); !slices.Equal(got, tt.want) {
			t.Errorf("annotation %q, host network %v, own addresses %v: %v, want %v", tt.annotation, tt.host, tt.place.own, got, tt.want)
		}
	}
}

func TestOffers(t *testing.T) {
	pod := testPod(corev1.RestartPolicyAlways, "a", "b")
	pod.Spec.Containers[1].Ports = []corev1.ContainerPort{{ContainerPort: 80}, {ContainerPort: 8080, Protocol: corev1.ProtocolUDP}}
	module := registry.Module{Config: &registry.ImageConfig{Ports: []uint16{80, 8080}}}
	own := place{known: true, own: []netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("fd00::1")}}
	want := []string{"10.0.0.1:8080", "[fd00::1]:8080"} // b names the other
	if got := offers(pod, module, reachOf(pod, own, testAddress)); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if got := offers(pod, module, reachOf(pod, place{known: true}, testAddress)); got != nil {
		t.Errorf("with the node's address: %v", got)
	}
	if got := offers(pod, registry.Module{}, reachOf(pod, own, testAddress)); got != nil {
		t.Errorf("of an image that is one module: %v", got)
	}
	pod.Annotations = map[string]string{"krustlet-wasi.dev/listen": "false"}
	if got := offers(pod, module, reachOf(pod, own, testAddress)); got != nil {
		t.Errorf("of a pod that does not want any: %v", got)
	}
}

// TestContainerSpecOfImage: what a container leaves open, its image says.
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
		{corev1.Container{}, []string{"/app.wasm", "$(A)", "x"}, "/image"}, // the image's words are its own
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
	pod := testPod(corev1.RestartPolicyAlways, "init", "a")
	if err := unsupported(pod); err != nil {
		t.Error(err)
	}
	pod.Spec.Containers[0].VolumeDevices = []corev1.VolumeDevice{{Name: "v", DevicePath: "/dev/v"}}
	if err := unsupported(pod); err == nil || !strings.Contains(err.Error(), "block devices") {
		t.Errorf("a block device: %v", err)
	}
}

// The limit of a pod as a whole binds the containers that have none of their own.
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
