package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/krustlet-go/krustlet-wasi/hack/guests"
	"github.com/krustlet-go/krustlet-wasi/hack/testcluster"
	"github.com/krustlet-go/krustlet-wasi/hack/testnode"
)

func TestAddresses(t *testing.T) {
	t.Parallel()
	s := newSuite(t, "")
	t.Run("Pods", func(t *testing.T) {
		for name, test := range map[string]func(*testing.T, *suite){
			"HostNetwork": testHostNetwork,
			"PortTaken":   testPortTaken,
			"NoSockets":   testNoSockets,
			"Exposed":     testExposedPorts,
			"Told":        testToldAddress,
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				test(t, s)
			})
		}
	})
	testAddressesStay(t, s)
}

// body is the answer of a server. Without an answer the test fails.
func body(t *testing.T, ip string, port int32) string {
	t.Helper()
	response, err := web.Get(fmt.Sprintf("http://%s/x", net.JoinHostPort(ip, strconv.Itoa(int(port)))))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%v %v", response.Status, err)
	}
	return string(text)
}

// testAddressesStay: pods that serve at the same port have addresses of the node's range. They keep
// them and serve there, also when the agent is stopped, killed or started.
func testAddressesStay(t *testing.T, s *suite) {
	ns := s.cluster.Namespace(t)
	node, err := s.client().CoreV1().Nodes().Get(context.Background(), s.node.Name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	of, err := netip.ParsePrefix(node.Spec.PodCIDR)
	if err != nil {
		t.Fatal(err)
	}
	owners := map[string]string{}
	serves := func(name string) {
		t.Helper()
		now := s.await(t, ns, name, ready(true))
		ip := now.Status.PodIP
		if owner, is := owners[ip]; is && owner != name || !of.Contains(netip.MustParseAddr(ip)) || len(now.Status.PodIPs) != 1 || now.Status.HostIP != s.node.IP {
			t.Errorf("%s has %s, which %q has, on %s with %s", name, ip, owner, now.Status.HostIP, of)
		}
		owners[ip] = name
		if got := body(t, ip, 18080); got != "/x from descriptor 3\n" {
			t.Errorf("%s says %q", name, got)
		}
	}
	make := func(name string, handler corev1.ProbeHandler) {
		pod := s.served(t, name, 18080)
		pod.Spec.Containers[0].ReadinessProbe = &corev1.Probe{ProbeHandler: handler, PeriodSeconds: 1, TimeoutSeconds: 5}
		s.create(t, ns, pod)
	}
	port := intstr.FromString("web")
	make("http", corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/", Port: port}})
	make("tcp", corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: port}})
	serves("http")
	serves("tcp")

	for _, end := range []func(testing.TB){s.node.Stop, s.node.Kill} {
		end(t)
		s.node.Start(t)
		s.node.WaitReady(t)
		later := fmt.Sprintf("later%d", len(owners))
		make(later, corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/", Port: port}})
		serves(later)
		serves("http")
		serves("tcp")
	}
	if len(owners) != 4 {
		t.Errorf("addresses have moved: %v", owners)
	}
}

// testHostNetwork: a pod in the host's network has the node's address. It gets sockets there,
// unless an annotation forbids them.
func testHostNetwork(t *testing.T, s *suite) {
	ns := s.cluster.Namespace(t)
	port := freePort()
	pod := s.served(t, "asks", port)
	pod.Annotations = map[string]string{"krustlet-wasi.dev/listen": "true"}
	pod.Spec.HostNetwork = true
	s.create(t, ns, pod)
	if now := s.await(t, ns, "asks", ready(true)); now.Status.PodIP != s.node.IP {
		t.Errorf("the pod has %s", now.Status.PodIP)
	}
	visits(t, hostPort(s.node.IP, port))

	pod = s.served(t, "silent", freePort())
	pod.Annotations = map[string]string{"krustlet-wasi.dev/listen": "false"}
	pod.Spec.HostNetwork = true
	s.findsNoSockets(t, ns, pod)
}

// testNoSockets: an annotation forbids the sockets.
func testNoSockets(t *testing.T, s *suite) {
	pod := s.served(t, "none", 18080)
	pod.Annotations = map[string]string{"krustlet-wasi.dev/listen": "false"}
	s.findsNoSockets(t, s.cluster.Namespace(t), pod)
}

// findsNoSockets runs a pod that serves, and expects it to print that it has no sockets.
func (s *suite) findsNoSockets(t *testing.T, ns string, pod *corev1.Pod) {
	t.Helper()
	pod.Spec.RestartPolicy = corev1.RestartPolicyNever
	s.create(t, ns, pod)
	if log := s.finalLog(t, ns, pod.Name, corev1.PodFailed); !strings.Contains(log, `LISTEN_FDS is ""`) {
		t.Errorf("it says %q", log)
	}
}

// testPortTaken: if two containers of a pod have the same port, the second does not start and says
// why.
func testPortTaken(t *testing.T, s *suite) {
	ns := s.cluster.Namespace(t)
	pod := s.served(t, "twice", 18080)
	other := *pod.Spec.Containers[0].DeepCopy()
	other.Name, other.Ports[0].Name = "other", "more"
	always := corev1.ContainerRestartPolicyAlways
	side := *pod.Spec.Containers[0].DeepCopy()
	side.Name, side.RestartPolicy = "side", &always
	pod.Spec.InitContainers = []corev1.Container{side} // sidecars have sockets too, and get them first
	pod.Spec.Containers = []corev1.Container{other}
	pod = s.create(t, ns, pod)
	now := s.await(t, ns, "twice", func(p *corev1.Pod) error {
		if len(p.Status.ContainerStatuses) == 0 || p.Status.ContainerStatuses[0].LastTerminationState.Terminated == nil {
			return errors.New("the second has not failed")
		}
		return nil
	})
	s.awaitEvents(t, pod, "Failed Error: starting the guest: listening on "+now.Status.PodIP+":18080: ")
	body(t, now.Status.PodIP, 18080)
}

// testExposedPorts: a container gets the ports that its image exposes, except those that another
// container of the pod names or has.
func testExposedPorts(t *testing.T, s *suite) {
	serve, err := os.ReadFile(guests.Build(t, "serve"))
	if err != nil {
		t.Fatal(err)
	}
	image := guests.Image(t,
		v1.Config{Entrypoint: []string{"/serve"}, ExposedPorts: map[string]struct{}{"18085/tcp": {}, "18086/tcp": {}}},
		map[string][]byte{"serve": serve})
	ref, err := name.ParseReference(s.images.Host + "/exposing:v1")
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(ref, image); err != nil {
		t.Fatal(err)
	}
	pod := s.pod("exposed", ref.String())
	always := corev1.ContainerRestartPolicyAlways
	pod.Spec.InitContainers = []corev1.Container{{Name: "side", Image: ref.String(), RestartPolicy: &always}}
	pod.Spec.Containers[0].Ports = []corev1.ContainerPort{{ContainerPort: 18086}}
	ns := s.cluster.Namespace(t)
	s.create(t, ns, pod)
	ip := s.await(t, ns, "exposed", ready(true)).Status.PodIP
	for _, port := range []int32{18085, 18086} {
		if got := body(t, ip, port); got != "/x from descriptor 3\n" {
			t.Errorf("port %d: %q", port, got)
		}
	}
}

// testToldAddress: a pod learns its true address. Commands beside its containers have no sockets.
func testToldAddress(t *testing.T, s *suite) {
	ns := s.cluster.Namespace(t)
	pod := s.pod("told", s.kitchen, "each", "env", "cat /etc/hosts")
	pod.Spec.RestartPolicy = corev1.RestartPolicyNever
	c := &pod.Spec.Containers[0]
	c.Ports = []corev1.ContainerPort{{ContainerPort: 18080}}
	for name, path := range map[string]string{"POD": "status.podIP", "PODS": "status.podIPs", "HOST": "status.hostIP"} {
		c.Env = append(c.Env, corev1.EnvVar{Name: name, ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: path}}})
	}
	s.create(t, ns, pod)
	log := s.finalLog(t, ns, "told", corev1.PodSucceeded)
	now, err := s.get(ns, "told")
	if err != nil || now.Status.PodIP == "" {
		t.Fatalf("%v: a pod that has ended shows address %q", err, now.Status.PodIP)
	}
	ip := now.Status.PodIP
	for _, want := range []string{"POD=" + ip + "\n", "PODS=" + ip + "\n", "HOST=" + s.node.IP + "\n", "LISTEN_FDS=1\n", ip + "\ttold\n"} {
		if !strings.Contains(log, want) {
			t.Errorf("no %q in\n%s", want, log)
		}
	}
}

// TestNodeWithoutPrivilege: if an agent may not add routes, it gives pods the node's address, and
// says so.
// docs/security.md: "Run the agent as a user of its own, not as root, which it does not need"
func TestNodeWithoutPrivilege(t *testing.T) {
	t.Parallel()
	s := &suite{cluster: testcluster.Start(t), images: testnode.NewRegistry(t)}
	s.node = testnode.New(t, s.cluster, "")
	wrapper := filepath.Join(t.TempDir(), "agent")
	script := fmt.Sprintf("#!/bin/sh\nexec setpriv --inh-caps -all --bounding-set -net_admin %q \"$@\"\n", testnode.Binary(t))
	if os.Getuid() != 0 {
		script = fmt.Sprintf("#!/bin/sh\nexec %q \"$@\"\n", testnode.Binary(t))
	}
	if err := os.WriteFile(wrapper, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	s.node.Binary = wrapper
	const cidr = "198.18.77.0/24" // no host has this range, and no packet goes there
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: s.node.Name}, Spec: corev1.NodeSpec{PodCIDR: cidr, PodCIDRs: []string{cidr}}}
	if _, err := s.client().CoreV1().Nodes().Create(context.Background(), node, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	s.node.Join(t)
	ns := s.cluster.Namespace(t)
	s.create(t, ns, s.pod("plain", s.images.PushTiny(t)))
	now := s.await(t, ns, "plain", func(p *corev1.Pod) error {
		if len(p.Status.PodIPs) == 0 {
			return errors.New("no address")
		}
		return nil
	})
	if now.Status.PodIP != s.node.IP {
		t.Errorf("the pod has %s", now.Status.PodIP)
	}
	if log := s.node.Process().Stderr(); !strings.Contains(log, "pods have the node's address") || !strings.Contains(log, "local "+cidr+" dev lo") {
		t.Errorf("the agent does not say why:\n%s", log)
	}
}
