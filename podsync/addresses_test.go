package podsync

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/krustlet-go/krustlet-wasi/hack/testfiles"
	"github.com/krustlet-go/krustlet-wasi/hack/testpod"
	"github.com/krustlet-go/krustlet-wasi/podsync/podspec"
)

// addressed is a home with pods p0, p1, … and a new Node that has podCIDRs.
func addressed(t *testing.T, pods int, cidrs ...string) *home {
	t.Helper()
	var all []*corev1.Pod
	for i := range pods {
		pod := testpod.New(corev1.RestartPolicyNever, "a")
		pod.Name, pod.UID = fmt.Sprint("p", i), types.UID(fmt.Sprint("u", i))
		pod.Spec.Containers[0].Ports = []corev1.ContainerPort{{ContainerPort: 80}}
		all = append(all, pod)
	}
	h := newHome(t, all...)
	h.setNode(cidrs...)
	return h
}

// setNode makes a new Node, or gives the existing one podCIDRs.
func (h *home) setNode(cidrs ...string) {
	h.t.Helper()
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node", CreationTimestamp: metav1.Now()}, Spec: corev1.NodeSpec{PodCIDRs: cidrs}}
	nodes := h.client.CoreV1().Nodes()
	if old, err := nodes.Get(h.t.Context(), "node", metav1.GetOptions{}); err == nil {
		old.Spec.PodCIDRs = cidrs
		if _, err := nodes.Update(h.t.Context(), old, metav1.UpdateOptions{}); err != nil {
			h.t.Fatal(err)
		}
		return
	}
	if err := h.client.Tracker().Add(node); err != nil {
		h.t.Fatal(err)
	}
}

func (h *home) pod(i int) *corev1.Pod {
	h.t.Helper()
	pod, err := h.client.CoreV1().Pods("ns").Get(context.Background(), fmt.Sprint("p", i), metav1.GetOptions{})
	if err != nil {
		h.t.Fatal(err)
	}
	return pod
}

// reloaded makes the next agent list the present pods.
func (h *home) reloaded() {
	for i := range h.pods {
		h.pods[i] = *h.pod(i)
	}
}

func (h *home) podIPs() []string {
	var ips []string
	for i := range h.pods {
		ips = append(ips, h.pod(i).Status.PodIP)
	}
	return ips
}

func sorted(ips []string) []string {
	ips = slices.Clone(ips)
	slices.Sort(ips)
	return ips
}

// TestPodsHaveAddresses: until it has ended, each pod has an address of the node's range, and has
// its sockets at that address. That holds also when agents change. If no address is free, a pod
// waits.
func TestPodsHaveAddresses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := addressed(t, 3, "127.9.8.0/30") // it has two free addresses
		var had []string
		h.run(func(*Manager) {
			pass(time.Second)
			had = h.podIPs()
			if got := sorted(had); !slices.Equal(got, []string{"", "127.9.8.1", "127.9.8.2"}) {
				t.Fatalf("pods have %q", had)
			}
			events := h.sandboxEvents()
			const want = "Warning FailedCreatePodSandBox Failed to create pod sandbox: giving the pod an address: no address is free: all 2 of 127.9.8.0/30 are in use"
			if len(events) == 0 || events[0] != want {
				t.Errorf("events %q, want %q", events, want)
			}
			for _, g := range h.engine.all() {
				ip := h.pod(int(g.spec.Of.Pod[1] - '0')).Status.PodIP
				if !slices.Equal(g.spec.Listen, []string{ip + ":80"}) {
					t.Errorf("a pod with %s listens on %v", ip, g.spec.Listen)
				}
			}
		})
		h.reloaded()
		h.run(func(*Manager) {
			pass(time.Second)
			if got := h.podIPs(); !slices.Equal(got, had) {
				t.Errorf("after a restart pods have %q, and had %q", got, had)
			}
			h.engine.all()[0].end(0)
			pass(3 * time.Minute)
			late := slices.Index(had, "")
			got := h.podIPs()
			if ended := h.pod(int(h.engine.all()[0].spec.Of.Pod[1] - '0')); got[late] != ended.Status.PodIP || got[late] == "" {
				t.Errorf("with a free address pods have %q, and had %q", got, had)
			}
		})
	})
}

// TestAddressIsKeptBeforeItIsReported: a guest may listen on an address that is in no status yet.
func TestAddressIsKeptBeforeItIsReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := addressed(t, 1, "127.9.8.0/29")
		pod := h.pod(0)
		dirs := dirsOf(h.dataDir, pod)
		if err := dirs.Make(); err != nil {
			t.Fatal(err)
		}
		if err := dirs.KeepAddresses(podspec.Addresses{Known: true, Own: []netip.Addr{netip.MustParseAddr("127.9.8.5")}}); err != nil {
			t.Fatal(err)
		}
		h.run(func(*Manager) {
			pass(time.Second)
			if got := h.podIPs(); got[0] != "127.9.8.5" {
				t.Errorf("the pod has %q", got)
			}
		})
	})
}

// TestPodFromBeforeAddresses: a pod that runs with the node's address keeps it. If the machine does
// not have a pod's addresses any more, the pod gets others, and its hosts file has the new ones.
func TestPodFromBeforeAddresses(t *testing.T) {
	for ip, want := range map[string]string{"127.0.0.9": "127.0.0.9", "192.0.2.77": "127.9.8.1", "127.3.3.3": "127.3.3.3"} {
		synctest.Test(t, func(t *testing.T) {
			h := addressed(t, 1, "127.9.8.0/29")
			pod := &h.pods[0]
			pod.Status = corev1.PodStatus{Phase: corev1.PodRunning, HostIP: "127.0.0.9", PodIP: ip, PodIPs: []corev1.PodIP{{IP: ip}},
				Conditions: []corev1.PodCondition{{Type: corev1.PodReadyToStartContainers, Status: corev1.ConditionTrue}}}
			hosts := dirsOf(h.dataDir, pod).Etc("hosts")
			testfiles.Write(t, hosts, "")
			h.run(func(*Manager) {
				pass(time.Second)
				if got := h.podIPs(); got[0] != want {
					t.Errorf("a pod with %s has %s", ip, got[0])
				}
				text, err := os.ReadFile(hosts)
				if err != nil || (ip == "192.0.2.77") != strings.HasSuffix(string(text), want+"\tp0\n") {
					t.Errorf("a pod with %s: %v, hosts are %q", ip, err, text)
				}
			})
		})
	}
}

// TestNodesOwnAddress: a pod in the host's network has the node's address. If there is no range,
// every pod has it.
func TestNodesOwnAddress(t *testing.T) {
	for name, tt := range map[string]struct {
		host     bool
		cidrs    []string
		settings func(*Settings)
		after    time.Duration
		want     string
	}{
		"host network":         {host: true, cidrs: []string{"127.9.8.0/29"}, want: "127.0.0.9"},
		"no range":             {after: rangePatience, want: "127.0.0.9"},
		"a range of the flags": {settings: func(s *Settings) { s.PodCIDRs = []netip.Prefix{netip.MustParsePrefix("127.7.7.0/24")} }, after: rangePatience, want: "127.7.7.1"},
		"no own addresses":     {cidrs: []string{"127.9.8.0/29"}, settings: func(s *Settings) { s.NodeAddressOnly = true }, want: "127.0.0.9"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := addressed(t, 1, tt.cidrs...)
				h.pods[0].Spec.HostNetwork = tt.host
				h.alter = tt.settings
				h.run(func(*Manager) {
					if tt.after > 0 {
						pass(tt.after - time.Second)
						if got := h.podIPs(); got[0] != "" {
							t.Errorf("too early the pod has %q", got)
						}
					}
					pass(2 * time.Second)
					if got := h.podIPs(); got[0] != tt.want {
						t.Errorf("the pod has %q", got)
					}
				})
			})
		})
	}
}

// TestPodWaitsForTheNodesRange: a new node gets its range a little later, and pods wait for it.
func TestPodWaitsForTheNodesRange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := addressed(t, 1)
		h.run(func(*Manager) {
			pass(3 * time.Second)
			h.setNode("127.9.8.0/29")
			pass(time.Second)
			if got := h.podIPs(); got[0] != "127.9.8.1" {
				t.Errorf("the pod has %q", got)
			}
		})
	})
}
