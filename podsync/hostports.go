package podsync

import (
	"fmt"
	"net/netip"
	"time"

	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"

	"github.com/krustlet-go/krustlet-wasi/podsync/events"
	"github.com/krustlet-go/krustlet-wasi/podsync/hostport"
	"github.com/krustlet-go/krustlet-wasi/podsync/life"
	"github.com/krustlet-go/krustlet-wasi/podsync/podspec"
)

// HostPorts makes the node listen for pods. It identifies a pod by its UID. *hostport.Node is one.
type HostPorts interface {
	// Open listens at all the ports and forwards connections to the pod. If it returns an error, it
	// listens at none.
	Open(pod string, ports []hostport.Port) error
	// Close frees the ports of a pod before it returns. The pod may have no ports.
	Close(pod string)
}

// openPorts makes the node listen for a pod that is set up.
func (w *podActions) openPorts(pod *corev1.Pod, at podspec.Reach) error {
	ports, err := forwarded(pod, at)
	if err != nil || len(ports) == 0 || w.node.HostPorts == nil {
		return err
	}
	return w.node.HostPorts.Open(string(pod.UID), ports)
}

// retakePorts makes the node listen again for a pod that an earlier agent left running, also if the
// pod must end. If that fails, the pod goes on without its ports. retakePorts returns when to try
// again, or the zero time.
func (w *podLoop) retakePorts(now time.Time) time.Time {
	s, t := w.state, &w.retaking
	at := s.Addresses()
	// The addresses of a pod may change while it is set up.
	if !w.adopted || t.IsComplete() || !at.Known || s.Stage() == life.Active && !s.IsSetUp() {
		return time.Time{}
	}
	if now.Before(t.RetryAt()) {
		return t.RetryAt()
	}
	pod := s.Given()
	err := w.openPorts(pod, podspec.ReachOf(pod, at, w.node.Address))
	t.End(err, now)
	if err == nil {
		return time.Time{}
	}
	w.log.Warn("the pod has its ports of the host no more, will try again", zap.Error(err))
	w.record(pod, nil, events.SandboxFailed(err))
	return t.RetryAt()
}

// closePorts frees the ports of a pod when its last guest has ended, before the pod's end is
// reported.
func (w *podLoop) closePorts() {
	if at := w.state.Stage(); (at == life.Terminal || at == life.Removing || at == life.Absent) && len(w.processes) == 0 {
		w.retaking.End(nil, time.Now())
		w.node.closePorts(w.state.Object())
	}
}

func (m *Manager) closePorts(pod *corev1.Pod) {
	if m.HostPorts != nil {
		m.HostPorts.Close(string(pod.UID))
	}
}

// forwarded are the ports of the host that are forwarded to a pod. Guests have only TCP sockets. A
// pod in the host's network has its sockets at one address of the host, so that other pods can have
// the same ports at other addresses. Connections to the node's other addresses are forwarded to
// that address.
func forwarded(pod *corev1.Pod, at podspec.Reach) ([]hostport.Port, error) {
	if pod.Spec.HostNetwork && !podspec.Listens(pod) {
		return nil, nil
	}
	var ports []hostport.Port
	for _, p := range podspec.HostPorts(pod) {
		if podspec.Protocol(p) != corev1.ProtocolTCP {
			continue
		}
		port := hostport.Port{Number: uint16(p.HostPort)} //nolint:gosec // the API server checks the range
		if p.HostIP != "" {
			var err error
			if port.Address, err = netip.ParseAddr(p.HostIP); err != nil {
				return nil, fmt.Errorf("hostPort %d: hostIP: %w", p.HostPort, err)
			}
		}
		if pod.Spec.HostNetwork {
			port.To = []netip.AddrPort{podspec.HostSocket(p, at.Host)}
		} else {
			for _, a := range at.Pod {
				port.To = append(port.To, netip.AddrPortFrom(a, uint16(p.ContainerPort))) //nolint:gosec // the same
			}
		}
		ports = append(ports, port)
	}
	return ports, nil
}
