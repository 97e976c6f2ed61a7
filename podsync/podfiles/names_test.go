package podfiles

import (
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"github.com/krustlet-go/krustlet-wasi/hack/testpod"
	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/names"
)

// TestNames: names are looked up by what the pod finds in its files, for each policy.
func TestNames(t *testing.T) {
	etc := t.TempDir()
	for name, text := range map[string]string{
		"resolv.conf": "search a.test\nnameserver 192.0.2.1\noptions timeout:3\n",
		"hosts":       "127.0.0.1 localhost\n192.0.2.7 node.test node\n",
	} {
		if err := os.WriteFile(filepath.Join(etc, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	host := HostFiles{Etc: etc, DNS: DNS{Servers: []netip.Addr{netip.MustParseAddr("192.0.2.10")}, Domain: "c.test", ResolvConf: filepath.Join(etc, "resolv.conf")}}
	servers := func(addresses ...string) (all []netip.AddrPort) {
		for _, a := range addresses {
			all = append(all, netip.AddrPortFrom(netip.MustParseAddr(a), 53))
		}
		return all
	}
	option := func(name, value string) corev1.PodDNSConfigOption {
		o := corev1.PodDNSConfigOption{Name: name}
		if value != "" {
			o.Value = ptr.To(value)
		}
		return o
	}
	searches := []string{"ns.svc.c.test", "svc.c.test", "c.test", "a.test"}
	for name, tt := range map[string]struct {
		policy corev1.DNSPolicy
		host   bool
		config *corev1.PodDNSConfig
		want   runtime.Names
	}{
		"cluster":              {corev1.DNSClusterFirst, false, nil, runtime.Names{Servers: servers("192.0.2.10"), Search: searches, Ndots: 5}},
		"cluster, on the host": {corev1.DNSClusterFirstWithHostNet, true, nil, runtime.Names{Servers: servers("192.0.2.10"), Search: searches, Ndots: 5}},
		"host network":         {corev1.DNSClusterFirst, true, nil, runtime.Names{Servers: servers("192.0.2.1"), Search: []string{"a.test"}, Ndots: 1, Timeout: 3 * time.Second}},
		"default":              {corev1.DNSDefault, false, nil, runtime.Names{Servers: servers("192.0.2.1"), Search: []string{"a.test"}, Ndots: 1, Timeout: 3 * time.Second}},
		"none": {corev1.DNSNone, false, &corev1.PodDNSConfig{Nameservers: []string{"192.0.2.53", "2001:db8::53"}, Searches: []string{"own.test"}, Options: []corev1.PodDNSConfigOption{
			option("ndots", "2"), option("timeout", "1"), option("attempts", "4"), option("rotate", ""), option("use-vc", ""), option("single-request", ""),
		}}, runtime.Names{
			Servers: servers("192.0.2.53", "2001:db8::53"), PodServers: servers("192.0.2.53", "2001:db8::53"), Chosen: true,
			Search: []string{"own.test"}, Ndots: 2, Timeout: time.Second, Attempts: 4, Rotate: true, TCP: true,
		}},
		"cluster, and more": {corev1.DNSClusterFirst, false, &corev1.PodDNSConfig{Nameservers: []string{"192.0.2.10", "192.0.2.53"}, Options: []corev1.PodDNSConfigOption{option("ndots", "1")}}, runtime.Names{
			Servers: servers("192.0.2.10", "192.0.2.53"), PodServers: servers("192.0.2.53"), Chosen: true, Search: searches, Ndots: 1,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			pod := testpod.New(corev1.RestartPolicyAlways, "a")
			pod.Spec.Hostname, pod.Spec.Subdomain = "me", "sub"
			pod.Spec.HostAliases = []corev1.HostAlias{{IP: "192.0.2.99", Hostnames: []string{"alias", "alias.test"}}}
			pod.Spec.DNSPolicy, pod.Spec.HostNetwork, pod.Spec.DNSConfig = tt.policy, tt.host, tt.config
			got, err := host.Names(pod, testReach)
			if err != nil {
				t.Fatal(err)
			}
			d := dirsOf(t.TempDir(), pod)
			if _, err := d.MakeOwnFiles(pod, host, testReach); err != nil {
				t.Fatal(err)
			}
			hosts, err := os.ReadFile(d.Etc("hosts"))
			if err != nil {
				t.Fatal(err)
			}
			tt.want.Hosts = names.ParseHosts(string(hosts))
			same := cmp.Options{cmpopts.EquateEmpty(), cmp.Comparer(func(a, b netip.Addr) bool { return a == b }), cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })}
			if diff := cmp.Diff(tt.want, got, same); diff != "" {
				t.Error(diff)
			}
			found := map[string]netip.Addr{}
			for _, h := range got.Hosts {
				for _, name := range h.Names {
					found[name] = h.Address
				}
			}
			own, shared := found["me.sub.ns.svc.c.test"], found["node"]
			if found["alias"] != netip.MustParseAddr("192.0.2.99") || own.IsValid() == tt.host || shared.IsValid() != tt.host || !found["localhost"].IsValid() {
				t.Errorf("the hosts are %v", found)
			}
		})
	}
	host.DNS.ResolvConf = etc
	if _, err := host.Names(testpod.New(corev1.RestartPolicyAlways, "a"), nil); err == nil {
		t.Error("a directory was read")
	}
}
