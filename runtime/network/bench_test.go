package network

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// large is a cluster with 10,000 pods in 1,000 sets and 1,000 Services, and a pod with 1,000 rules.
func large() runtime.NetworkUpdate {
	u := known()
	pods := make([]netip.Prefix, 10_000)
	for i := range pods {
		pods[i] = netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 200, byte(i >> 8), byte(i)}), 32)
	}
	u.Sets = append(u.Sets, runtime.AddressSet{Name: runtime.ClusterSet, Add: pods})
	rules := &runtime.Rules{}
	for i := range 1000 {
		name := fmt.Sprintf("namespace-%d/app=web", i)
		u.Sets = append(u.Sets, runtime.AddressSet{Name: name, Add: pods[i*10 : i*10+10]})
		rule := runtime.Rule{Ports: []runtime.PortRange{tcp(uint16(1000+i), uint16(1000+i)), tcp(8080, 8090)}}
		if i%2 == 0 {
			rule.Sets = []string{name}
		} else {
			rule.Blocks = []runtime.Block{{Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{172, 16, byte(i), 0}), 24), Except: prefixes(fmt.Sprintf("172.16.%d.7", i%256))}}
		}
		rules.List = append(rules.List, rule)
	}
	u.Pods = []runtime.PodRules{{Pod: "uid", Ingress: rules, Egress: rules}}
	u.Services = manyServices(1000)
	return u
}

// BenchmarkDecisions: with 1,000 rules, 1,000 sets and 10,000 addresses, a decision takes less than
// 1 µs.
func BenchmarkDecisions(b *testing.B) {
	c := newCluster(b, large())
	n := newNetwork(b, c, "uid", ofPod("cluster 172.16.0.0/12 10.96.0.0/12", "*"))
	n.resolver = book{"a.example.com": answer("a.example.com", "172.16.9.9")}
	for name, f := range map[string]func() error{
		"to a pod of a set": func() error {
			_, err := n.Connect(runtime.TCP, at998)
			return err
		},
		"to a range": func() error {
			_, err := n.Connect(runtime.TCP, atRange)
			return err
		},
		"to a stranger, refused": func() error {
			_, err := n.Connect(runtime.TCP, atStranger)
			if err == nil {
				return fmt.Errorf("it is allowed")
			}
			return nil
		},
		"from a pod of a set": func() error { return n.Accept(runtime.TCP, local8080, at998) },
		"from a stranger":     func() error { return n.Accept(runtime.TCP, local8080, atRange) },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := f(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("by all processors", func(b *testing.B) {
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if _, err := n.Connect(runtime.TCP, at998); err != nil {
					b.Error(err)
				}
			}
		})
	})
}

var (
	at998      = at("10.200.38.252:8080") // the 9,980th pod
	atRange    = at("172.16.9.9:8080")
	atStranger = at("10.200.38.252:7")
	local8080  = at("10.244.3.5:8080")
)

// BenchmarkService: what a Service costs beside its endpoint.
func BenchmarkService(b *testing.B) {
	u := large()
	u.Pods = nil
	s := service("ns/affine", "10.250.0.1", 80, "10.200.38.252:8080")
	s.Affinity = time.Hour
	u.Services = append(u.Services, s)
	n := newNetwork(b, newCluster(b, u), "uid", ofPod("*", "*"))
	for name, to := range map[string]netip.AddrPort{"endpoint": at998, "Service": at("10.96.2.7:80"), "with affinity": at("10.250.0.1:80")} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := n.Connect(runtime.TCP, to); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkApply: what an update costs.
func BenchmarkApply(b *testing.B) {
	b.Run("everything", func(b *testing.B) {
		u := large()
		for b.Loop() {
			newCluster(b, u)
		}
	})
	c := newCluster(b, large())
	b.Run("one address", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			c.Apply(runtime.NetworkUpdate{Sets: []runtime.AddressSet{{Name: runtime.ClusterSet, Add: prefixes("10.201.0.1")}}})
			c.Apply(runtime.NetworkUpdate{Sets: []runtime.AddressSet{{Name: runtime.ClusterSet, Remove: prefixes("10.201.0.1")}}})
		}
	})
	b.Run("one Service", func(b *testing.B) {
		for b.Loop() {
			c.Apply(ofServices(service("ns/s7", "10.96.0.7", 80, "10.244.0.7:1")))
		}
	})
	b.Run("a pod with 1,000 rules", func(b *testing.B) {
		pods := large().Pods
		for b.Loop() {
			c.Apply(runtime.NetworkUpdate{Pods: pods})
		}
	})
}

// BenchmarkReview: a look at 10,000 connections of a pod with 1,000 rules.
func BenchmarkReview(b *testing.B) {
	n := newNetwork(b, newCluster(b, large()), "uid", ofPod("*", "*"))
	for i := range uint16(10_000) {
		n.Watch(runtime.TCP, netip.AddrPortFrom(ip("10.244.3.5"), i+1), at998, true, func() { b.Error("it is cut") })
	}
	for b.Loop() {
		n.review()
	}
}

// BenchmarkNew: what a guest's Network costs, with a list of its own of 1,000 entries or none.
func BenchmarkNew(b *testing.B) {
	list := ""
	for i := range 1000 {
		list += fmt.Sprintf("host%d.example.com:443 ", i)
	}
	for name, list := range map[string]string{"short list": "a.example cluster", "1,000 entries": list} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			c := newCluster(b, large())
			for i := 0; b.Loop(); i++ {
				n, err := c.New("other", ofPod(fmt.Sprint(list, i, ".example"), "*"))
				if err != nil {
					b.Fatal(err)
				}
				n.Close()
			}
		})
	}
}
