package podsync

import (
	"fmt"
	"path"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/krustlet-go/krustlet-wasi/podsync/environ"
	"github.com/krustlet-go/krustlet-wasi/podsync/podspec"
	"github.com/krustlet-go/krustlet-wasi/registry"
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// unsupported returns an error if a pod's spec asks for a feature that this node does not have.
// Without that feature the pod would have another meaning.
func unsupported(pod *corev1.Pod) error {
	for _, c := range podspec.Containers(pod) {
		if len(c.VolumeDevices) > 0 {
			return fmt.Errorf("container %q: krustlet-wasi does not give block devices to containers; use volumeMounts", c.Name)
		}
	}
	return nil
}

// containerSpec is the engine's spec of a container, without the parts that differ between runs:
// ID, folders, log and sockets.
func containerSpec(pod *corev1.Pod, c *corev1.Container, module registry.Module, env []corev1.EnvVar) (runtime.Spec, error) {
	spec := runtime.Spec{
		Command: runtime.Command{Args: arguments(c, module, env), Stdin: c.Stdin, StdinOnce: c.StdinOnce},
		WorkDir: c.WorkingDir,
	}
	if spec.WorkDir != "" && !path.IsAbs(spec.WorkDir) {
		return runtime.Spec{}, fmt.Errorf("workingDir %q is not absolute", spec.WorkDir)
	}
	var own []string
	for _, v := range env {
		own = append(own, v.Name+"="+v.Value)
	}
	spec.Env = module.Environ(own)
	if spec.WorkDir == "" && module.Config != nil {
		spec.WorkDir = module.Config.WorkingDir
	}
	program, err := module.Program(spec.Args, spec.Env, spec.WorkDir)
	if err != nil {
		return runtime.Spec{}, err
	}
	spec.Module, spec.Digest = program.Path, program.Digest
	limits := limitsOf(pod, c.Resources)
	spec.MemoryLimit, spec.CPULimit = limits.Memory, limits.CPU
	return spec, nil
}

// limitsOf are the limits of a container for the engine. If the container has no limit, that of the
// whole pod counts.
func limitsOf(pod *corev1.Pod, r corev1.ResourceRequirements) runtime.Limits {
	limit := func(name corev1.ResourceName) resource.Quantity {
		own, limited := r.Limits[name]
		if !limited && pod.Spec.Resources != nil {
			return pod.Spec.Resources.Limits[name]
		}
		return own
	}
	memory, cpu := limit(corev1.ResourceMemory), limit(corev1.ResourceCPU)
	return runtime.Limits{Memory: memory.Value(), CPU: cpu.MilliValue()}
}

// exposedPorts are the TCP ports that an image exposes.
func exposedPorts(module registry.Module) []uint16 {
	if module.Config == nil {
		return nil
	}
	return module.Config.Ports
}

// arguments is the guest's argv. The container's command replaces the image's entrypoint, and its
// args replace the image's cmd.
func arguments(c *corev1.Container, module registry.Module, env []corev1.EnvVar) []string {
	expanded := func(list []string) []string {
		var all []string
		for _, a := range list {
			all = append(all, environ.Expand(a, env))
		}
		return all
	}
	return module.Argv(expanded(c.Command), expanded(c.Args))
}

// imageUser is the user that an image names, or empty.
func imageUser(module registry.Module) string {
	if module.Config == nil {
		return ""
	}
	return module.Config.User
}
