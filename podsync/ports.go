package podsync

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
)

// PodPorts finds a pod that runs and returns what connects to its ports, at its own address. These are the TCP ports that its
// spec names, as guests are given no others: what else listens there, such as a program of the machine that listens at
// every address, is no part of the pod. The error is an apierrors.APIStatus.
func (m *Manager) PodPorts(namespace, pod, uid string) (func(ctx context.Context, port uint16) (net.Conn, error), error) {
	w, view := m.find(namespace, pod)
	if w == nil || uid != "" && view.pod.UID != types.UID(uid) {
		return nil, apierrors.NewNotFound(corev1.Resource("pods"), namespace+"/"+pod)
	}
	if !view.alive() {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("pod %q does not run: its phase is %s", pod, view.pod.Status.Phase))
	}
	return func(ctx context.Context, port uint16) (net.Conn, error) {
		now := w.view.Load()
		switch ports := now.ports(); {
		case !now.alive():
			return nil, fmt.Errorf("pod %q does not run any more", pod)
		case !slices.Contains(ports, port):
			return nil, fmt.Errorf("pod %q does not listen on port %d: the TCP ports of its containers that run are %v", pod, port, ports)
		}
		return new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort(now.pod.Status.PodIP, strconv.Itoa(int(port))))
	}, nil
}

// alive says whether a container of the pod runs.
func (v *view) alive() bool { return len(v.running().Spec.Containers) > 0 }

// ports are the TCP ports of the containers that run.
func (v *view) ports() []uint16 {
	ports := []uint16{}
	for _, running := range v.running().Spec.Containers {
		c := findContainer(v.pod, running.Name)
		for _, p := range c.Ports {
			if p.Protocol == corev1.ProtocolTCP || p.Protocol == "" {
				ports = append(ports, uint16(p.ContainerPort)) //nolint:gosec // the API server checks the range
			}
		}
	}
	return ports
}
