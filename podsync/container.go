package podsync

import (
	"fmt"
	"net/netip"
	"path"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/krustlet-go/krustlet-wasi/registry"
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// unsupported says which part of a pod's spec this node cannot honour, where going on without it would change what
// the pod means.
func unsupported(pod *corev1.Pod) error {
	for _, c := range allContainers(pod) {
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

// listenAnnotation on a pod says whether its containers find listening sockets for their ports: "true" or "false". Without it
// those of a pod with an address of its own do, as nobody else is there who could want a port, and those of a pod in the host's
// network, whose ports are the node's: no other pod is given them.
const listenAnnotation = "krustlet-wasi.dev/listen"

// sockets are the addresses on which a container finds listening sockets: its TCP ports, in the order of the spec, on the
// pod's first address, and then on its second if it has one.
func sockets(pod *corev1.Pod, c *corev1.Container, at reach) []string {
	if says := pod.Annotations[listenAnnotation]; says == "false" || says != "true" && !at.own && !pod.Spec.HostNetwork {
		return nil
	}
	if !pod.Spec.HostNetwork {
		return socketsOn(at, tcpPorts(c))
	}
	var listen []string
	for _, p := range c.Ports {
		if protocolOf(p) == corev1.ProtocolTCP {
			listen = append(listen, hostSocket(p, at.host).String())
		}
	}
	return listen
}

// hostSocket is where a pod in the host's network listens for a port: at the node's address, unless the port is for another.
func hostSocket(p corev1.ContainerPort, node netip.Addr) netip.AddrPort {
	if a, err := netip.ParseAddr(p.HostIP); err == nil && !a.IsUnspecified() {
		node = a
	}
	return netip.AddrPortFrom(node, uint16(p.ContainerPort)) //nolint:gosec // the API server checks the range
}

// offers are the addresses on which a container finds listening sockets unless another container of the pod does: the
// TCP ports that its image exposes. A pod without an address of its own is not offered any, as ports are scarce there, and
// a port that a container names is that container's.
func offers(pod *corev1.Pod, module registry.Module, at reach) []string {
	if module.Config == nil || !at.own || pod.Annotations[listenAnnotation] == "false" {
		return nil
	}
	var named []uint16
	for _, c := range allContainers(pod) {
		named = append(named, tcpPorts(c)...)
	}
	return socketsOn(at, slices.DeleteFunc(slices.Clone(module.Config.Ports), func(p uint16) bool { return slices.Contains(named, p) }))
}

func tcpPorts(c *corev1.Container) []uint16 {
	var ports []uint16
	for _, p := range c.Ports {
		if protocolOf(p) == corev1.ProtocolTCP {
			ports = append(ports, uint16(p.ContainerPort)) //nolint:gosec // the API server checks the range
		}
	}
	return ports
}

func socketsOn(at reach, ports []uint16) []string {
	var listen []string
	for _, a := range at.pod {
		for _, p := range ports {
			listen = append(listen, netip.AddrPortFrom(a, p).String())
		}
	}
	return listen
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
