package podsync

import (
	"fmt"
	"path"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/krustlet-go/krustlet-wasi/podsync/podspec"
	"github.com/krustlet-go/krustlet-wasi/registry"
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// unsupported says which part of a pod's spec this node cannot honour, where going on without it would change what
// the pod means.
func unsupported(pod *corev1.Pod) error {
	for _, c := range podspec.Containers(pod) {
		if len(c.VolumeDevices) > 0 {
			return fmt.Errorf("container %q: krustlet-wasi does not give block devices to containers; use volumeMounts", c.Name)
		}
	}
	return nil
}

// containerSpec is what the engine is told of a container, but for what is the run's own: ID, folders, log and sockets.
func containerSpec(pod *corev1.Pod, c *corev1.Container, module registry.Module, env []corev1.EnvVar) (runtime.Spec, error) {
	spec := runtime.Spec{
		Args:    arguments(c, module, env),
		WorkDir: c.WorkingDir,
		Stdin:   c.Stdin, StdinOnce: c.StdinOnce,
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

// limitsOf is what an engine is told of the resources of a pod's container. What the container does not limit, the limit of the pod
// as a whole bounds.
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

// arguments is the guest's argv: command replaces the image's entrypoint, args its cmd.
func arguments(c *corev1.Container, module registry.Module, env []corev1.EnvVar) []string {
	expanded := func(list []string) []string {
		var all []string
		for _, a := range list {
			all = append(all, expand(a, env))
		}
		return all
	}
	return module.Argv(expanded(c.Command), expanded(c.Args))
}

// expand replaces $(NAME) by the variable's value. $$ stands for one $, so that $$(NAME) is left as $(NAME); a
// reference to an unknown variable stays as it is.
func expand(text string, env []corev1.EnvVar) string {
	return expandBy(text, func(name string) (string, bool) { return lookup(env, name) })
}

func expandBy(text string, variable func(name string) (string, bool)) string {
	var out strings.Builder
	for {
		i := strings.IndexByte(text, '$')
		if i < 0 || i == len(text)-1 {
			out.WriteString(text)
			return out.String()
		}
		out.WriteString(text[:i])
		text = text[i+1:]
		end := strings.IndexByte(text, ')')
		switch {
		case text[0] == '$':
			out.WriteByte('$')
			text = text[1:]
		case text[0] == '(' && end > 0:
			name := text[1:end]
			if value, ok := variable(name); ok {
				out.WriteString(value)
			} else {
				out.WriteString("$(" + name + ")")
			}
			text = text[end+1:]
		default:
			out.WriteByte('$')
		}
	}
}

func lookup(env []corev1.EnvVar, name string) (string, bool) {
	for _, v := range env {
		if v.Name == name {
			return v.Value, true
		}
	}
	return "", false
}
