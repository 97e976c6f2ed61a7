package podsync

import (
	"context"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/krustlet-go/krustlet-wasi/podsync/podspec"
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// PodPorts finds a pod that runs and returns a function that connects to its ports. These are the
// TCP ports in its spec, and those at which its HTTP handlers are served. Other programs may listen
// at the pod's address, such as a program of the machine that listens at every address. Their ports
// do not belong to the pod. The error is an apierrors.APIStatus.
func (m *Manager) PodPorts(namespace, pod, uid string) (func(ctx context.Context, port uint16) (net.Conn, error), error) {
	w, view := m.loops.find(namespace, pod)
	if w == nil || uid != "" && view.pod.UID != types.UID(uid) {
		return nil, apierrors.NewNotFound(corev1.Resource("pods"), namespace+"/"+pod)
	}
	if !view.alive() {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("pod %q does not run: its phase is %s", pod, view.pod.Status.Phase))
	}
	return func(ctx context.Context, port uint16) (net.Conn, error) {
		now := w.view.Load()
		ports := now.ports(w.dirs.Spec)
		at, listens := ports[port]
		switch {
		case !now.alive():
			return nil, fmt.Errorf("pod %q does not run any more", pod)
		case !listens:
			return nil, fmt.Errorf("pod %q does not listen on port %d: the TCP ports of its containers that run are %v",
				pod, port, slices.Sorted(maps.Keys(ports)))
		}
		return new(net.Dialer).DialContext(ctx, "tcp", at.String())
	}, nil
}

// alive reports whether a container of the pod runs.
func (v *view) alive() bool { return len(v.running().Spec.Containers) > 0 }

// ports are the TCP ports of the containers that run, with the addresses at which the pod listens.
// specOf returns what the run of a container with an ID was started with.
func (v *view) ports(specOf func(container, id string) (runtime.Spec, error)) map[uint16]netip.AddrPort {
	ip, _ := netip.ParseAddr(v.pod.Status.PodIP) // a pod whose containers run has an address
	ports := map[uint16]netip.AddrPort{}
	for _, running := range v.running().Spec.Containers {
		for _, p := range podspec.Container(v.pod, running.Name).Ports {
			at := netip.AddrPortFrom(ip, uint16(p.ContainerPort)) //nolint:gosec // the API server checks the range
			if v.pod.Spec.HostNetwork {
				at = podspec.HostSocket(p, ip)
			}
			if podspec.Protocol(p) == corev1.ProtocolTCP {
				ports[at.Port()] = at
			}
		}
		run := v.runs[running.Name]
		if run.process == nil || run.process.Stats().HTTP == nil {
			continue // not a handler: its spec says where it would be served if it were one
		}
		spec, err := specOf(running.Name, run.id)
		if err != nil {
			continue // the run has ended, or its note is damaged: the ports of the pod's spec remain
		}
		for _, served := range slices.Concat(spec.HTTP.Listen, spec.HTTP.ListenTLS) {
			at, err := netip.ParseAddrPort(served)
			if _, known := ports[at.Port()]; err == nil && !known { // a pod's first address comes first
				ports[at.Port()] = at
			}
		}
	}
	return ports
}
