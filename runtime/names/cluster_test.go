package names_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/krustlet-go/krustlet-wasi/hack/eventually"
	"github.com/krustlet-go/krustlet-wasi/hack/testcluster"
	"github.com/krustlet-go/krustlet-wasi/hack/testpod"
	"github.com/krustlet-go/krustlet-wasi/podsync/podfiles"
	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/names"
)

func TestMain(m *testing.M) { os.Exit(testcluster.Main(m)) }

// clusterNames are Services of a namespace, and the cluster's name server.
type clusterNames struct {
	cluster   *testcluster.Cluster
	namespace string
	server    netip.AddrPort
	overTCP   atomic.Int32
}

// service makes a Service. With addresses it is headless, and they are its endpoints, each with a
// host name.
func (c *clusterNames) service(t *testing.T, name string, spec corev1.ServiceSpec, addresses ...string) string {
	t.Helper()
	if len(addresses) > 0 {
		spec.ClusterIP = corev1.ClusterIPNone
	}
	if spec.Type != corev1.ServiceTypeExternalName {
		spec.Ports = []corev1.ServicePort{{Name: "http", Port: 80}}
	}
	client := c.cluster.Client()
	made, err := client.CoreV1().Services(c.namespace).Create(t.Context(), &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: spec}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	slice := &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Name: name, Labels: map[string]string{discoveryv1.LabelServiceName: name}},
		AddressType: discoveryv1.AddressTypeIPv4,
		Ports:       []discoveryv1.EndpointPort{{Name: ptr.To("http"), Port: ptr.To[int32](80)}},
	}
	for i, a := range addresses {
		slice.Endpoints = append(slice.Endpoints, discoveryv1.Endpoint{Addresses: []string{a}, Hostname: ptr.To(fmt.Sprintf("%s-%d", name, i))})
	}
	if len(addresses) > 0 {
		if _, err := client.DiscoveryV1().EndpointSlices(c.namespace).Create(t.Context(), slice, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	return made.Spec.ClusterIP
}

// resolver looks up names for a pod whose cluster DNS has an address that only the host's dial
// leads to the server.
func (c *clusterNames) resolver(t *testing.T, pod *corev1.Pod) *names.Resolver {
	t.Helper()
	clusterDNS := netip.MustParseAddr("10.96.0.10")
	host := podfiles.HostFiles{Etc: t.TempDir(), DNS: podfiles.DNS{Servers: []netip.Addr{clusterDNS}, Domain: "cluster.local"}}
	n, err := host.Names(pod, []netip.Addr{netip.MustParseAddr("192.0.2.9")})
	if err != nil {
		t.Fatal(err)
	}
	return names.New(names.Settings{Names: n, Dial: func(ctx context.Context, p runtime.Protocol, to netip.AddrPort) (net.Conn, error) {
		if to != netip.AddrPortFrom(clusterDNS, 53) {
			return nil, fmt.Errorf("dialing %v: this is not the cluster's server", to)
		}
		if p == runtime.TCP {
			c.overTCP.Add(1)
		}
		return new(net.Dialer).DialContext(ctx, strings.ToLower(p.String()), c.server.String())
	}})
}

// look is the addresses of a name, in order, or why there are none.
func look(t *testing.T, r *names.Resolver, name string) string {
	answer, err := r.Lookup(t.Context(), name)
	var failure *names.Error
	switch {
	case errors.As(err, &failure):
		return strings.TrimSpace(failure.RCode + " " + failure.Reason.String())
	case err != nil:
		return err.Error()
	}
	slices.SortFunc(answer.Addresses, netip.Addr.Compare)
	var all []string
	for _, a := range answer.Addresses {
		all = append(all, a.String())
	}
	return strings.Join(all, " ")
}

// TestCluster: a pod finds the cluster's Services by the names that Kubernetes documents, with real
// CoreDNS.
func TestCluster(t *testing.T) {
	c := clusterNames{cluster: testcluster.Start(t)}
	c.namespace = c.cluster.Namespace(t)
	c.server = c.cluster.StartCoreDNS(t, 0, "192.0.2.80 outside.test", "2001:db8::80 outside.test")
	web := c.service(t, "web", corev1.ServiceSpec{})
	c.service(t, "db", corev1.ServiceSpec{}, "10.1.0.1", "10.1.0.2")
	c.service(t, "elsewhere", corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "outside.test"})
	var many []string
	for i := range 200 {
		many = append(many, fmt.Sprintf("10.2.0.%d", i+1))
	}
	c.service(t, "many", corev1.ServiceSpec{}, many...)

	pod := testpod.New(corev1.RestartPolicyAlways, "a")
	pod.Namespace, pod.Spec.Hostname, pod.Spec.DNSPolicy = c.namespace, "me", corev1.DNSClusterFirst
	pod.Spec.HostAliases = []corev1.HostAlias{{IP: "192.0.2.99", Hostnames: []string{"alias", "outside.alias.test"}}}
	r := c.resolver(t, pod)
	const none = "NXDOMAIN there is no such name"
	testcluster.AwaitName(t, c.server, "many."+c.namespace+".svc.cluster.local")
	for name, want := range map[string]string{
		"web":                         web,
		"web." + c.namespace:          web,
		"Web." + c.namespace + ".svc": web,
		"web." + c.namespace + ".svc.cluster.local":  web,
		"web." + c.namespace + ".svc.cluster.local.": web,
		"web." + c.namespace + ".":                   none,
		"web.default":                                none,
		"kubernetes.default":                         c.cluster.Kubectl(t, "get", "service", "kubernetes", "-n", "default", "-o", "jsonpath={.spec.clusterIP}"),
		"db":                                         "10.1.0.1 10.1.0.2",
		"db-1.db":                                    "10.1.0.2",
		"elsewhere":                                  "192.0.2.80 2001:db8::80",
		"outside.test":                               "192.0.2.80 2001:db8::80",
		"alias":                                      "192.0.2.99",
		"outside.alias.test":                         "192.0.2.99",
		"me":                                         "192.0.2.9",
		"nothing":                                    none,
	} {
		if got := look(t, r, name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if got := strings.Fields(look(t, r, "many")); len(got) != 64 {
		t.Errorf("a Service of 200 endpoints has %d addresses", len(got))
	}
	if c.overTCP.Load() == 0 {
		t.Error("200 addresses did not need TCP")
	}

	if got := look(t, r, "later"); got != none {
		t.Errorf("a Service that is not there: %q", got)
	}
	later := c.service(t, "later", corev1.ServiceSpec{})
	eventually.True(t, "a new Service is found", func() bool { return look(t, r, "later") == later })

	pod.Spec.DNSPolicy, pod.Spec.DNSConfig = corev1.DNSNone, &corev1.PodDNSConfig{Nameservers: []string{"10.96.0.10"}, Searches: []string{"svc.cluster.local"},
		Options: []corev1.PodDNSConfigOption{{Name: "ndots", Value: ptr.To("2")}, {Name: "use-vc"}}}
	r = c.resolver(t, pod)
	before := c.overTCP.Load()
	for name, want := range map[string]string{"web": none, "web." + c.namespace: web} {
		if got := look(t, r, name); got != want {
			t.Errorf("with a search list of its own, %s: %q, want %q", name, got, want)
		}
	}
	if c.overTCP.Load() == before {
		t.Error("use-vc did not lead to TCP")
	}
}
