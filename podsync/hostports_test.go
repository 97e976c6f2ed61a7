package podsync

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/krustlet-go/krustlet-wasi/hack/testpod"
	"github.com/krustlet-go/krustlet-wasi/podsync/hostport"
	"github.com/krustlet-go/krustlet-wasi/podsync/podspec"
)

// TestForwardedPorts: the ports at which the node listens for a pod.
func TestForwardedPorts(t *testing.T) {
	own := podspec.Reach{Host: testpod.NodeAddress, Pod: []netip.Addr{netip.MustParseAddr("127.9.8.1"), netip.MustParseAddr("fd00::1")}, Own: true}
	for name, tt := range map[string]struct {
		port   corev1.ContainerPort
		host   bool
		listen string
		want   string
	}{
		"everywhere":   {port: corev1.ContainerPort{HostPort: 80, ContainerPort: 8080}, want: "invalid IP 80 [127.9.8.1:8080 [fd00::1]:8080]"},
		"one address":  {port: corev1.ContainerPort{HostPort: 80, HostIP: "127.1.1.1", ContainerPort: 80, Protocol: corev1.ProtocolTCP}, want: "127.1.1.1 80 [127.9.8.1:80 [fd00::1]:80]"},
		"none":         {port: corev1.ContainerPort{ContainerPort: 80}},
		"UDP":          {port: corev1.ContainerPort{HostPort: 80, ContainerPort: 80, Protocol: corev1.ProtocolUDP}},
		"host network": {port: corev1.ContainerPort{HostPort: 80, ContainerPort: 80}, host: true, want: "invalid IP 80 [127.0.0.9:80]"},
		"host address": {port: corev1.ContainerPort{HostPort: 80, HostIP: "127.1.1.1", ContainerPort: 80}, host: true, want: "127.1.1.1 80 [127.1.1.1:80]"},
		"no sockets":   {port: corev1.ContainerPort{HostPort: 80, ContainerPort: 80}, host: true, listen: "false"},
	} {
		t.Run(name, func(t *testing.T) {
			pod := testpod.New(corev1.RestartPolicyAlways, "a")
			pod.Spec.Containers[0].Ports, pod.Spec.HostNetwork = []corev1.ContainerPort{tt.port}, tt.host
			pod.Annotations = map[string]string{"krustlet-wasi.dev/listen": tt.listen}
			ports, err := forwarded(pod, own)
			var got string
			for _, p := range ports {
				got += fmt.Sprint(p.Address, " ", p.Number, " ", p.To)
			}
			if err != nil || got != tt.want {
				t.Errorf("%q, want %q: %v", got, tt.want, err)
			}
		})
	}
}

// doorman is a HostPorts that notes its calls.
type doorman struct {
	mu       sync.Mutex
	failures []error // the errors of the next calls of Open
	asked    []string
	open     bool
	onClose  func() // called when open ports are closed; may be nil
}

func (d *doorman) Open(pod string, ports []hostport.Port) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked = append(d.asked, fmt.Sprintf("open %s %s:%d", pod, ports[0].Address, ports[0].Number))
	if len(d.failures) == 0 {
		d.open = true
		return nil
	}
	err := d.failures[0]
	d.failures = d.failures[1:]
	return err
}

func (d *doorman) Close(pod string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.open {
		return
	}
	d.open, d.asked = false, append(d.asked, "close "+pod)
	if d.onClose != nil {
		d.onClose()
	}
}

// wasAsked checks all calls since the last check.
func (d *doorman) wasAsked(t *testing.T, want ...string) {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	if !slices.Equal(d.asked, want) {
		t.Errorf("asked for %q, want %q", d.asked, want)
	}
	d.asked = nil
}

func (d *doorman) atClose(do func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.onClose = do
}

// TestHostPortsLife: ports are opened once, before the containers of a pod start, and again by the
// next agent. If a port is not free, the pod waits, and its events say so. The ports are closed
// before the pod's end is reported.
func TestHostPortsLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := addressed(t, 1, "127.9.8.0/29")
		spec := h.pods[0].Spec.DeepCopy()
		spec.RestartPolicy = corev1.RestartPolicyOnFailure
		spec.Containers[0].Ports[0].HostPort, spec.Containers[0].Ports[0].HostIP = 8080, "127.1.1.1"
		h.pods[0].Spec = *spec
		taken := errors.New("hostPort 8080: address already in use")
		door := &doorman{failures: []error{taken, taken, taken}}
		h.alter = func(s *Settings) { s.HostPorts = door }
		const open = "open u0 127.1.1.1:8080"
		h.run(func(*Manager) {
			pass(time.Second)
			pod := h.pod(0)
			if len(h.engine.all()) > 0 || pod.Status.Phase != corev1.PodPending || podspec.HasCondition(&pod.Status, corev1.PodReadyToStartContainers, corev1.ConditionTrue) {
				t.Errorf("without its ports a pod has %d runs and says %+v", len(h.engine.all()), pod.Status)
			}
			events := h.sandboxEvents()
			if want := "Warning FailedCreatePodSandBox Failed to create pod sandbox: " + taken.Error(); len(events) != 2 || events[0] != want {
				t.Errorf("events %q, want %q", events, want)
			}
			pass(3 * time.Second)
			door.wasAsked(t, open, open, open, open)
			if len(h.engine.all()) != 1 {
				t.Fatalf("with its ports a pod has %d runs", len(h.engine.all()))
			}
			h.engine.all()[0].end(1)
			pass(time.Minute)
			if len(h.engine.all()) != 2 {
				t.Fatalf("%d runs", len(h.engine.all()))
			}
			door.wasAsked(t)
		})
		h.reloaded()
		h.pods[0].Spec = *spec
		h.run(func(m *Manager) {
			pass(time.Second)
			// The last agent closed the ports at its end, and this one opened them at its start.
			door.wasAsked(t, "close u0", open)
			door.atClose(func() {
				if phase := m.Pods()[0].Status.Phase; phase != corev1.PodRunning {
					t.Errorf("a pod that is %s had ports open", phase)
				}
			})
			h.engine.all()[1].end(0)
			pass(time.Second)
			door.wasAsked(t, "close u0")
			if phase := h.pod(0).Status.Phase; phase != corev1.PodSucceeded {
				t.Errorf("the pod is %s", phase)
			}
		})
	})
}

// TestHostPortsTakenMeanwhile: a running pod goes on without its ports, and the agent tries to open
// them again.
func TestHostPortsTakenMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := addressed(t, 1, "127.9.8.0/29")
		spec := h.pods[0].Spec.DeepCopy()
		spec.RestartPolicy, spec.Containers[0].Ports[0].HostPort = corev1.RestartPolicyAlways, 8080
		h.pods[0].Spec = *spec
		door := &doorman{}
		h.alter = func(s *Settings) { s.HostPorts = door }
		const open = "open u0 invalid IP:8080"
		h.run(func(*Manager) { pass(time.Second) })
		door.wasAsked(t, open, "close u0")
		taken := errors.New("hostPort 8080: address already in use")
		door.failures = []error{taken, taken, taken}
		h.reloaded()
		h.pods[0].Spec = *spec
		h.run(func(*Manager) {
			pass(time.Second)
			h.engine.all()[0].end(1)
			pass(time.Second)
			if pod := h.pod(0); len(h.engine.all()) != 2 || pod.Status.Phase != corev1.PodRunning ||
				!podspec.HasCondition(&pod.Status, corev1.PodReadyToStartContainers, corev1.ConditionTrue) {
				t.Errorf("without its ports a pod has %d runs and says %+v", len(h.engine.all()), pod.Status)
			}
			if events := h.sandboxEvents(); len(events) != 3 || !strings.HasSuffix(events[0], taken.Error()) {
				t.Errorf("events %q", events)
			}
			pass(time.Hour)
			door.wasAsked(t, open, open, open, open)
		})
	})
}

// TestHostPortsOfADeletedPod: the ports are open as long as a guest runs, even if another agent
// sees the guest end.
func TestHostPortsOfADeletedPod(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := addressed(t, 1, "127.9.8.0/29")
		h.pods[0].Spec.Containers[0].Ports[0].HostPort = 8080
		spec := h.pods[0].Spec
		door := &doorman{}
		h.alter = func(s *Settings) { s.HostPorts = door }
		h.run(func(m *Manager) {
			pass(time.Second)
			m.loops.get("u0").mailbox.put(testpod.Deleted(h.pod(0), 30))
			pass(9 * time.Second)
			door.wasAsked(t, "open u0 invalid IP:8080")
		})
		h.reloaded()
		h.pods[0].Spec = spec
		h.pods[0] = *testpod.Deleted(&h.pods[0], 20)
		h.run(func(*Manager) {
			pass(time.Second)
			door.wasAsked(t, "close u0", "open u0 invalid IP:8080")
			pass(time.Minute)
			door.wasAsked(t, "close u0")
		})
	})
}
