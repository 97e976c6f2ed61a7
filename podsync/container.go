package podsync

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/krustlet-go/krustlet-wasi/registry"
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// tokenVolumePrefix begins the name of the volume that the API server's admission adds to every pod of a
// service account. It is not mounted yet; a pod that does not read it misses nothing.
const tokenVolumePrefix = "kube-api-access-"

// unsupported says which part of a pod's spec this node cannot honour, where going on without it would change what
// the pod means.
func unsupported(pod *corev1.Pod) error {
	for _, v := range pod.Spec.Volumes {
		if v.Projected != nil && strings.HasPrefix(v.Name, tokenVolumePrefix) {
			continue
		}
		return fmt.Errorf("MountVolume.SetUp failed for volume %q : krustlet-wasi does not mount volumes yet; remove the volume from the pod", v.Name)
	}
	for _, c := range pod.Spec.InitContainers {
		if c.RestartPolicy != nil {
			return fmt.Errorf("init container %q: krustlet-wasi does not run restartable init containers yet; make it an ordinary container", c.Name)
		}
	}
	return nil
}

// containerSpec is what the engine is told of a container, but for what is the run's own: ID, folders and log.
func containerSpec(pod *corev1.Pod, c *corev1.Container, module registry.Module) (runtime.Spec, error) {
	env, err := environment(pod, c)
	if err != nil {
		return runtime.Spec{}, err
	}
	spec := runtime.Spec{
		Module:  module.Path,
		Digest:  module.Digest,
		Args:    arguments(c, module, env),
		WorkDir: c.WorkingDir,
		Stdin:   c.Stdin, StdinOnce: c.StdinOnce,
	}
	if spec.WorkDir != "" && !path.IsAbs(spec.WorkDir) {
		return runtime.Spec{}, fmt.Errorf("workingDir %q is not absolute", spec.WorkDir)
	}
	for _, v := range env {
		spec.Env = append(spec.Env, v.Name+"="+v.Value)
	}
	if limit, ok := c.Resources.Limits[corev1.ResourceMemory]; ok {
		spec.MemoryLimit = limit.Value()
	}
	if limit, ok := c.Resources.Limits[corev1.ResourceCPU]; ok {
		spec.CPULimit = limit.MilliValue()
	}
	return spec, nil
}

var errValueFrom = errors.New("krustlet-wasi does not read environment variables from ConfigMaps, Secrets or fields yet; give the value itself")

// environment is the container's environment in the order of the spec, with references expanded. A name that is
// given twice has its last value.
func environment(pod *corev1.Pod, c *corev1.Container) ([]corev1.EnvVar, error) {
	if len(c.EnvFrom) > 0 {
		return nil, fmt.Errorf("envFrom: %w", errValueFrom)
	}
	hostname := pod.Spec.Hostname
	if hostname == "" {
		hostname = pod.Name
	}
	env := []corev1.EnvVar{{Name: "HOSTNAME", Value: hostname}}
	for _, v := range c.Env {
		if v.ValueFrom != nil {
			return nil, fmt.Errorf("environment variable %q: %w", v.Name, errValueFrom)
		}
		value := expand(v.Value, env)
		env = slices.DeleteFunc(env, func(old corev1.EnvVar) bool { return old.Name == v.Name })
		env = append(env, corev1.EnvVar{Name: v.Name, Value: value})
	}
	return env, nil
}

// arguments is the guest's argv. command replaces the image's entrypoint, which for an image that is one module is
// the module itself under the image's name; args follow.
func arguments(c *corev1.Container, module registry.Module, env []corev1.EnvVar) []string {
	var argv []string
	for _, a := range c.Command {
		argv = append(argv, expand(a, env))
	}
	if len(argv) == 0 {
		argv = []string{entrypoint(module)}
	}
	for _, a := range c.Args {
		argv = append(argv, expand(a, env))
	}
	return argv
}

// entrypoint names a module that has no name of its own: the last part of its image's repository.
func entrypoint(module registry.Module) string {
	name, _, _ := strings.Cut(path.Base(module.Image), "@")
	name, _, _ = strings.Cut(name, ":")
	return name
}

// expand replaces $(NAME) by the variable's value. $$ stands for one $, so that $$(NAME) is left as $(NAME); a
// reference to an unknown variable stays as it is.
func expand(text string, env []corev1.EnvVar) string {
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
			if value, ok := lookup(env, name); ok {
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
