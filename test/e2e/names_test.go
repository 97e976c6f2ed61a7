package e2e

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/krustlet-go/krustlet-wasi/hack/testcluster"
	"github.com/krustlet-go/krustlet-wasi/hack/testnode"
)

// Numbers of error codes of wasi:sockets 0.2.
const (
	lookupDenied  = " error 1\n"
	lookupMissing = " error 18\n"
	lookupLater   = " error 19\n"
)

// TestNames: guests look up names by what their pod's files say, at the cluster's name server, and
// only those that egress allows.
//
// docs/security.md: "A server that only the pod names is asked if the pod may connect to it."
func TestNames(t *testing.T) {
	t.Parallel()
	s := &suite{cluster: testcluster.Start(t), images: testnode.NewRegistry(t)}
	server := s.cluster.StartCoreDNS(t, 53, "192.0.2.80 outside.test", "2001:db8::80 outside.test")
	s.node = testnode.New(t, s.cluster, "")
	s.node.Args = append(s.node.Args, "--cluster-dns="+server.Addr().String())
	s.node.Join(t)
	image := s.images.Push(t, "lookup:v1", component(t, "lookup-0.2"))
	ns := s.cluster.Namespace(t)
	service, err := s.client().CoreV1().Services(ns).Create(t.Context(), &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "web"}, Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	testcluster.AwaitName(t, server, "web."+ns+".svc.cluster.local")
	web, api := service.Spec.ClusterIP, s.cluster.Kubectl(t, "get", "service", "kubernetes", "-n", "default", "-o", "jsonpath={.spec.clusterIP}")
	names := []string{"web", "kubernetes.default", "outside.test", "alias", "nothing"}
	for name, c := range map[string]struct {
		egress string
		change func(*corev1.PodSpec)
		want   string
	}{
		"nowhere":    {"", nil, "web" + lookupDenied + "kubernetes.default" + lookupDenied + "outside.test" + lookupDenied + "alias 192.0.2.99\nnothing" + lookupDenied},
		"cluster":    {"cluster", nil, "web " + web + "\nkubernetes.default " + api + "\noutside.test" + lookupDenied + "alias 192.0.2.99\nnothing" + lookupDenied},
		"outside":    {"outside.test:443", nil, "web" + lookupDenied + "kubernetes.default" + lookupDenied + "outside.test 192.0.2.80\nalias 192.0.2.99\nnothing" + lookupDenied},
		"everywhere": {"*", nil, "web " + web + "\nkubernetes.default " + api + "\noutside.test 192.0.2.80\nalias 192.0.2.99\nnothing" + lookupMissing},
		"no-search": {"*", func(spec *corev1.PodSpec) {
			spec.DNSConfig = &corev1.PodDNSConfig{Options: []corev1.PodDNSConfigOption{{Name: "ndots", Value: ptr("1")}, {Name: "use-vc"}}}
			spec.Containers[0].Args = []string{"web.", "kubernetes.default.svc.cluster.local", "outside.test"}
		}, "web." + lookupMissing + "kubernetes.default.svc.cluster.local " + api + "\noutside.test 192.0.2.80\n"},
		// The node asks no server for a pod that chose it, if the pod may not connect there.
		"own-server": {"*", func(spec *corev1.PodSpec) {
			spec.DNSPolicy = corev1.DNSNone
			spec.DNSConfig = &corev1.PodDNSConfig{Nameservers: []string{server.Addr().String()}}
			spec.Containers[0].Args = []string{"outside.test"}
		}, "outside.test" + lookupLater},
	} {
		t.Run(name, func(t *testing.T) {
			pod := s.pod(name, image, names...)
			pod.Annotations = map[string]string{"krustlet-wasi.dev/egress": c.egress}
			pod.Spec.RestartPolicy = corev1.RestartPolicyNever
			pod.Spec.HostAliases = []corev1.HostAlias{{IP: "192.0.2.99", Hostnames: []string{"alias"}}}
			if c.change != nil {
				c.change(&pod.Spec)
			}
			s.create(t, ns, pod)
			if log := s.finalLog(t, ns, name, corev1.PodSucceeded); log != c.want {
				t.Errorf("the guest found\n%s\nwant\n%s", log, c.want)
			}
		})
	}
}
