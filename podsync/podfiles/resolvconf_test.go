package podfiles

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"github.com/krustlet-go/krustlet-wasi/hack/testpod"
)

func TestResolvConf(t *testing.T) {
	node := filepath.Join(t.TempDir(), "resolv.conf")
	const nodes = "# comment\ndomain old.test\nsearch a.test b.test. .\nnameserver 192.0.2.1\nnameserver 192.0.2.2\noptions ndots:1 edns0\nnonsense\n"
	if err := os.WriteFile(node, []byte(nodes), 0o600); err != nil {
		t.Fatal(err)
	}
	const (
		asNode   = "search a.test b.test\nnameserver 192.0.2.1\nnameserver 192.0.2.2\noptions ndots:1 edns0\n"
		searches = "search ns.svc.c.test svc.c.test c.test a.test b.test"
		cluster  = searches + "\nnameserver 192.0.2.10\nnameserver 2001:db8::a\noptions ndots:5\n"
		missing  = `MissingClusterDNS pod: "p_ns(u1)". kubelet does not have ClusterDNS IP configured and cannot create Pod using "ClusterFirst" policy. Falling back to "Default" policy.`
		servers  = "DNSConfigForming Nameserver limits were exceeded, some nameservers have been omitted, the applied nameserver line is: "
		domains  = "DNSConfigForming Search Line limits were exceeded, some search paths have been omitted, the applied search line is: "
	)
	whole := DNS{[]netip.Addr{netip.MustParseAddr("192.0.2.10"), netip.MustParseAddr("2001:db8::a")}, "c.test", node}
	more := &corev1.PodDNSConfig{
		Nameservers: []string{"192.0.2.2", "192.0.2.3", "192.0.2.4"}, Searches: []string{"b.test", "c.test"},
		Options: []corev1.PodDNSConfigOption{{Name: "ndots", Value: ptr.To("2")}, {Name: "rotate"}},
	}
	many := &corev1.PodDNSConfig{}
	for range 12 {
		many.Searches = append(many.Searches, strings.Repeat("x", len(many.Searches)+1)+strings.Repeat("."+strings.Repeat("y", 59), 4)) // over 240 characters each
	}
	many.Searches = append(many.Searches, strings.Repeat("z", 254))
	eight := strings.Join(many.Searches[:8], " ") // 2008 characters
	for name, tt := range map[string]struct {
		dns      DNS
		policy   corev1.DNSPolicy
		host     bool
		config   *corev1.PodDNSConfig
		want     string
		warnings []string
	}{
		"default":              {whole, corev1.DNSDefault, false, nil, asNode, nil},
		"host network":         {whole, corev1.DNSClusterFirst, true, nil, asNode, nil},
		"cluster":              {whole, corev1.DNSClusterFirst, false, nil, cluster, nil},
		"cluster, on the host": {whole, corev1.DNSClusterFirstWithHostNet, true, nil, cluster, nil},
		"cluster, and more": {whole, corev1.DNSClusterFirst, false, more,
			searches + "\nnameserver 192.0.2.10\nnameserver 2001:db8::a\nnameserver 192.0.2.2\noptions ndots:2 rotate\n",
			[]string{servers + "192.0.2.10 2001:db8::a 192.0.2.2"}},
		"no domain":            {DNS{whole.Servers, "", node}, corev1.DNSClusterFirst, false, nil, "search a.test b.test\nnameserver 192.0.2.10\nnameserver 2001:db8::a\noptions ndots:5\n", nil},
		"no servers":           {DNS{nil, "c.test", node}, corev1.DNSClusterFirst, false, nil, asNode, []string{missing}},
		"none":                 {whole, corev1.DNSNone, false, more, "search b.test c.test\nnameserver 192.0.2.2\nnameserver 192.0.2.3\nnameserver 192.0.2.4\noptions ndots:2 rotate\n", nil},
		"more":                 {whole, corev1.DNSDefault, false, more, "search a.test b.test c.test\nnameserver 192.0.2.1\nnameserver 192.0.2.2\nnameserver 192.0.2.3\noptions edns0 ndots:2 rotate\n", []string{servers + "192.0.2.1 192.0.2.2 192.0.2.3"}},
		"too many domains":     {whole, corev1.DNSNone, false, many, "search " + eight + "\n", []string{domains + eight}},
		"node without a file":  {DNS{nil, "", ""}, corev1.DNSDefault, false, nil, "search .\nnameserver 127.0.0.1\n", nil},
		"cluster without node": {DNS{whole.Servers, "c.test", ""}, corev1.DNSClusterFirst, false, nil, "search ns.svc.c.test svc.c.test c.test\nnameserver 192.0.2.10\nnameserver 2001:db8::a\noptions ndots:5\n", nil},
		"node's file is away":  {DNS{nil, "", node + "x"}, corev1.DNSDefault, false, nil, "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			pod := testpod.New(corev1.RestartPolicyAlways, "a")
			pod.Spec.DNSPolicy, pod.Spec.HostNetwork, pod.Spec.DNSConfig = tt.policy, tt.host, tt.config
			got, warnings, err := tt.dns.resolvConf(pod)
			if err != nil || got != tt.want {
				t.Errorf("%v\n%s\nwant\n%s", err, got, tt.want)
			}
			var told []string
			for _, w := range warnings {
				told = append(told, w.Reason+" "+w.Message)
			}
			if diff := cmp.Diff(tt.warnings, told); diff != "" {
				t.Errorf("warnings: %s", diff)
			}
		})
	}
	if _, _, err := (DNS{ResolvConf: t.TempDir()}).resolvConf(testpod.New(corev1.RestartPolicyAlways, "a")); err == nil {
		t.Error("a directory was read")
	}
}
