package e2e

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/krustlet-go/krustlet-wasi/hack/ownnetwork"
	"github.com/krustlet-go/krustlet-wasi/hack/testcluster"
	"github.com/krustlet-go/krustlet-wasi/hack/testnode"
)

// TestGuestsTalkToTheAPIServer: a Go program with client-go lists pods by kubernetes.default.svc.
// The name is the cluster's own, the Service leads to the API server, which is at an address of the
// machine that is otherwise closed, and the token is that of the pod.
func TestGuestsTalkToTheAPIServer(t *testing.T) {
	t.Parallel()
	if !ownnetwork.Enter(t) { // the API server takes no endpoints in 127.0.0.0/8
		return
	}
	names, machine := netip.MustParseAddrPort("198.18.81.53:5353"), netip.MustParseAddr("198.18.81.6")
	addAddress(t, names.Addr())
	addAddress(t, machine)
	s := &suite{cluster: testcluster.Start(t), images: testnode.NewRegistry(t)}
	s.cluster.Kubectl(t, "apply", "-f", "../../hack/rbac/network.yaml")
	server := netip.MustParseAddrPort(s.cluster.ProxyAt(t, machine).Addr())
	s.apiServerAt(t, server)
	s.cluster.StartCoreDNSAt(t, names)
	image := s.images.PushGuest(t, "pods")
	s.node = testnode.New(t, s.cluster, "")
	s.node.Args = append(s.node.Args, "--cluster-dns="+s.serviceOf(t, "kube-system", "dns-for-clients", names))
	s.node.Compiled(t, "pods")
	const cidr = "198.18.80.0/24"
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: s.node.Name}, Spec: corev1.NodeSpec{PodCIDR: cidr, PodCIDRs: []string{cidr}}}
	if _, err := s.client().CoreV1().Nodes().Create(t.Context(), node, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	s.node.Join(t)
	ns := s.cluster.Namespace(t)
	s.mayListPods(t, ns, "lister")

	program := func(name, account, egress string, args ...string) {
		pod := s.pod(name, image, args...)
		pod.Annotations = map[string]string{"krustlet-wasi.dev/egress": egress}
		pod.Spec.ServiceAccountName = account
		pod.Spec.RestartPolicy = corev1.RestartPolicyNever
		s.create(t, ns, pod)
	}
	program("by-name", "lister", "kubernetes.default.svc:443")
	program("by-cluster", "lister", "cluster")
	program("no-role", "default", "cluster")
	program("no-egress", "lister", "")
	program("at-the-machine", "lister", "*", "https://"+server.String())
	for _, name := range []string{"by-name", "by-cluster"} {
		log := s.finalLog(t, ns, name, corev1.PodSucceeded)
		if !slices.Contains(strings.Split(log, "\n"), name) {
			t.Errorf("%s did not list itself:\n%s", name, log)
		}
	}
	for name, want := range map[string]string{
		"no-role": "is forbidden", "no-egress": "error ", "at-the-machine": "Permission denied",
	} {
		if log := s.finalLog(t, ns, name, corev1.PodFailed); !strings.Contains(log, want) {
			t.Errorf("%s says %q, without %q", name, log, want)
		}
	}
	s.trustsByAnnotation(t, ns)
}

// trustsByAnnotation checks that a handler which sends requests by the node reaches the API server,
// whose authority the machine does not know, only if its pod names the authority.
func (s *suite) trustsByAnnotation(t *testing.T, ns string) {
	t.Helper()
	image := s.images.Push(t, "http-proxy:v1", component(t, "http-proxy-0.3"))
	for name, want := range map[string]int{"roots": http.StatusOK, "no-roots": http.StatusInternalServerError} {
		pod := s.proxy(name, image)
		if want != http.StatusOK {
			delete(pod.Annotations, "krustlet-wasi.dev/egress-roots")
		}
		s.create(t, ns, pod)
		status, text := get(t, "http://"+at(s.await(t, ns, name, ready(true)))+"/=kubernetes.default.svc/version")
		if status != want || strings.Contains(text, "gitVersion") != (want == http.StatusOK) {
			t.Errorf("%s: the API server's answer is %d %s", name, status, text)
		}
	}
}

// proxy is a pod with a handler that may reach the API server, and trusts the cluster's authority.
func (s *suite) proxy(name, image string) *corev1.Pod {
	pod := s.handler(name, image)
	pod.Annotations = map[string]string{"krustlet-wasi.dev/egress": "kubernetes.default.svc:443", "krustlet-wasi.dev/egress-roots": "ca"}
	pod.Spec.Volumes = []corev1.Volume{{Name: "ca", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
		LocalObjectReference: corev1.LocalObjectReference{Name: "kube-root-ca.crt"},
	}}}}
	c := &pod.Spec.Containers[0]
	c.VolumeMounts = []corev1.VolumeMount{{Name: "ca", MountPath: "/ca"}}
	c.ReadinessProbe = nil
	return pod
}

// apiServerAt has the Service of the API server lead to an address, until the test ends. The test
// cluster has no endpoint for it.
func (s *suite) apiServerAt(t *testing.T, server netip.AddrPort) {
	t.Helper()
	_, err := s.client().DiscoveryV1().EndpointSlices("default").Create(t.Context(), &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Name: "kubernetes", Labels: map[string]string{discoveryv1.LabelServiceName: "kubernetes"}},
		AddressType: discoveryv1.AddressTypeIPv4,
		Ports:       []discoveryv1.EndpointPort{{Name: ptr("https"), Protocol: ptr(corev1.ProtocolTCP), Port: ptr(int32(server.Port()))}},
		Endpoints:   []discoveryv1.Endpoint{{Addresses: []string{server.Addr().String()}}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.cluster.Kubectl(t, "delete", "endpointslice", "-n", "default", "kubernetes") })
}

// mayListPods makes a ServiceAccount that may list the pods of its namespace.
func (s *suite) mayListPods(t *testing.T, ns, account string) {
	t.Helper()
	meta := metav1.ObjectMeta{Name: account}
	_, err := s.client().CoreV1().ServiceAccounts(ns).Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: meta}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.client().RbacV1().Roles(ns).Create(t.Context(), &rbacv1.Role{
		ObjectMeta: meta, Rules: []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"list"}}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.client().RbacV1().RoleBindings(ns).Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: meta, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: account},
		Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: account, Namespace: ns}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
}
