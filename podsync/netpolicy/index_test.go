package netpolicy

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/yaml"

	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// worker is what a worker knows: it applies updates as they come.
type worker struct {
	sets map[string]map[netip.Prefix]bool
	pods map[string]runtime.PodRules
}

func (w *worker) apply(u runtime.NetworkUpdate) {
	if u.Reset || w.sets == nil {
		w.sets, w.pods = map[string]map[netip.Prefix]bool{}, map[string]runtime.PodRules{}
	}
	for _, s := range u.Sets {
		if s.Reset || w.sets[s.Name] == nil {
			w.sets[s.Name] = map[netip.Prefix]bool{}
		}
		for _, p := range s.Remove {
			delete(w.sets[s.Name], p)
		}
		for _, p := range s.Add {
			w.sets[s.Name][p] = true
		}
		if len(w.sets[s.Name]) == 0 {
			delete(w.sets, s.Name)
		}
	}
	for _, p := range u.Pods {
		if p.Gone {
			delete(w.pods, p.Pod)
		} else {
			w.pods[p.Pod] = p
		}
	}
}

// allows decides as the host of guests does.
func (w *worker) allows(rules *runtime.Rules, other netip.Addr, protocol runtime.Protocol, port uint16) bool {
	if rules == nil {
		return true
	}
	return slices.ContainsFunc(rules.List, func(r runtime.Rule) bool {
		at := len(r.Ports) == 0 || slices.ContainsFunc(r.Ports, func(p runtime.PortRange) bool {
			return p.Protocol == protocol && p.First <= port && port <= p.Last
		})
		from := r.Any || slices.ContainsFunc(r.Sets, func(name string) bool { return w.sets[name][single(other)] }) ||
			slices.ContainsFunc(r.Blocks, func(b runtime.Block) bool {
				return b.Prefix.Contains(other) && !slices.ContainsFunc(b.Except, func(p netip.Prefix) bool { return p.Contains(other) })
			})
		return at && from
	})
}

func (w *worker) take(x *Index) {
	x.Prepare()
	u, _ := x.Take()
	w.apply(u)
}

func newPod(namespace, name, ip string, of map[string]string, ports ...NamedPort) *Pod {
	p := &Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, UID: types.UID(namespace + "-" + name), Labels: of}, Ports: ports}
	if ip != "" {
		p.IPs = []netip.Addr{netip.MustParseAddr(ip)}
	}
	return p
}

func policy(t *testing.T, name, spec string) *networkingv1.NetworkPolicy {
	t.Helper()
	p := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name}}
	if err := yaml.UnmarshalStrict([]byte(spec), &p.Spec); err != nil {
		t.Fatal(err)
	}
	return p
}

// TestPolicies: what policies mean for the pod ns/web of this node, which has 10.0.0.1 and a port
// http at 8080. The others: ns/client (app=client, 10.0.0.2), ns/db (app=db, 10.0.0.3, port sql at
// 5432), other/client (app=client, 10.1.0.2, namespace with team=a), other/db (10.1.0.3, sql at
// 5433), and 192.0.2.9, which is no pod.
func TestPolicies(t *testing.T) {
	const web, outside = "10.0.0.1", "192.0.2.9"
	all := []string{"10.0.0.2", "10.0.0.3", "10.1.0.2", "10.1.0.3", outside}
	for name, tt := range map[string]struct {
		policies []string
		// want is what is allowed: "in ADDRESS PORT", "out ADDRESS PORT". What is asked is each
		// address, at ports 80, 8080, 5432, 5433 and 53/UDP. "in *" and "out *" mean all.
		want []string
	}{
		"none":                    {nil, []string{"in *", "out *"}},
		"of others":               {[]string{`{podSelector: {matchLabels: {app: db}}}`}, []string{"in *", "out *"}},
		"deny ingress by default": {[]string{`{podSelector: {}}`}, []string{"out *"}},
		"deny egress":             {[]string{`{podSelector: {}, policyTypes: [Egress]}`}, []string{"in *"}},
		"deny both":               {[]string{`{podSelector: {}, policyTypes: [Egress, Ingress]}`}, nil},
		"egress rules, no types":  {[]string{`{podSelector: {}, egress: [{}]}`}, []string{"out *"}},
		"egress rules, but types": {[]string{`{podSelector: {}, egress: [{}], policyTypes: [Ingress]}`}, []string{"out *"}},
		"allow all ingress":       {[]string{`{podSelector: {}, ingress: [{}]}`}, []string{"in *", "out *"}},
		"an expression": {[]string{`{podSelector: {matchExpressions: [{key: app, operator: In, values: [web, x]}]}}`},
			[]string{"out *"}},
		"pods of the namespace": {[]string{`{podSelector: {}, ingress: [{from: [{podSelector: {matchLabels: {app: client}}}]}]}`},
			[]string{"in 10.0.0.2 80", "in 10.0.0.2 8080", "in 10.0.0.2 5432", "in 10.0.0.2 5433", "in 10.0.0.2 53", "out *"}},
		"all pods of the namespace": {[]string{`{podSelector: {}, ingress: [{from: [{podSelector: {}}], ports: [{port: 80}]}]}`},
			[]string{"in 10.0.0.2 80", "in 10.0.0.3 80", "out *"}},
		"all pods of all namespaces": {[]string{`{podSelector: {}, ingress: [{from: [{namespaceSelector: {}}], ports: [{port: 80}]}]}`},
			[]string{"in 10.0.0.2 80", "in 10.0.0.3 80", "in 10.1.0.2 80", "in 10.1.0.3 80", "out *"}},
		"pods of some namespaces": {[]string{`{podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {team: a}}, podSelector: {matchLabels: {app: client}}}], ports: [{port: 80}]}]}`},
			[]string{"in 10.1.0.2 80", "out *"}},
		"two peers": {[]string{`{podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {team: a}}}, {podSelector: {matchLabels: {app: db}}}], ports: [{port: 80}]}]}`},
			[]string{"in 10.1.0.2 80", "in 10.1.0.3 80", "in 10.0.0.3 80", "out *"}},
		"a block": {[]string{`{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16, 10.0.0.3/32]}}], ports: [{port: 80}]}]}`},
			[]string{"in 10.0.0.2 80", "out *"}},
		"two policies add up": {[]string{`{podSelector: {}, ingress: [{ports: [{port: 80}]}]}`, `{podSelector: {matchLabels: {app: web}}, ingress: [{from: [{ipBlock: {cidr: 192.0.2.0/24}}], ports: [{port: 53, protocol: UDP}]}]}`},
			[]string{"in 10.0.0.2 80", "in 10.0.0.3 80", "in 10.1.0.2 80", "in 10.1.0.3 80", "in 192.0.2.9 80", "in 192.0.2.9 53", "out *"}},
		"a named port of the pod itself": {[]string{`{podSelector: {}, ingress: [{from: [{podSelector: {}}], ports: [{port: http}]}]}`},
			[]string{"in 10.0.0.2 8080", "in 10.0.0.3 8080", "out *"}},
		"a named port of UDP": {[]string{`{podSelector: {}, ingress: [{ports: [{port: http, protocol: UDP}]}]}`}, []string{"out *"}},
		"a named port that it lacks": {[]string{`{podSelector: {}, ingress: [{from: [{podSelector: {}}], ports: [{port: sql}]}]}`},
			[]string{"out *"}},
		"a range of ports": {[]string{`{podSelector: {}, policyTypes: [Egress], egress: [{to: [{podSelector: {}}], ports: [{port: 5000, endPort: 5432}]}]}`},
			[]string{"in *", "out 10.0.0.2 5432", "out 10.0.0.3 5432"}},
		"a protocol": {[]string{`{podSelector: {}, policyTypes: [Egress], egress: [{to: [{podSelector: {}}], ports: [{protocol: UDP}]}]}`},
			[]string{"in *", "out 10.0.0.2 53", "out 10.0.0.3 53"}},
		"SCTP allows nothing": {[]string{`{podSelector: {}, policyTypes: [Egress], egress: [{ports: [{protocol: SCTP}]}]}`},
			[]string{"in *"}},
		"named ports of others": {[]string{`{podSelector: {}, policyTypes: [Egress], egress: [{to: [{namespaceSelector: {}}], ports: [{port: sql}]}]}`},
			[]string{"in *", "out 10.0.0.3 5432", "out 10.1.0.3 5433"}},
		"named ports of anything": {[]string{`{podSelector: {}, policyTypes: [Egress], egress: [{ports: [{port: sql}, {port: 53, protocol: UDP}]}]}`},
			[]string{"in *", "out 10.0.0.3 5432", "out 10.1.0.3 5433", "out 10.0.0.2 53", "out 10.0.0.3 53", "out 10.1.0.2 53", "out 10.1.0.3 53", "out 192.0.2.9 53"}},
		"named ports of a block": {[]string{`{podSelector: {}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 10.0.0.0/8}}], ports: [{port: sql}]}]}`},
			[]string{"in *"}},
	} {
		t.Run(name, func(t *testing.T) {
			x := NewIndex()
			for i, spec := range tt.policies {
				x.SetPolicy(policy(t, fmt.Sprint("p", i), spec))
			}
			x.SetLocal(newPod("ns", "web", web, map[string]string{"app": "web"}, NamedPort{"http", corev1.ProtocolTCP, 8080}))
			x.SetPod(newPod("ns", "client", "10.0.0.2", map[string]string{"app": "client"}))
			x.SetPod(newPod("ns", "db", "10.0.0.3", map[string]string{"app": "db"}, NamedPort{"sql", corev1.ProtocolTCP, 5432}))
			x.SetPod(newPod("ns", "ended", "", map[string]string{"app": "client"}))
			x.SetPod(newPod("other", "client", "10.1.0.2", map[string]string{"app": "client"}))
			x.SetPod(newPod("other", "db", "10.1.0.3", map[string]string{"app": "db"}, NamedPort{"sql", corev1.ProtocolTCP, 5433}))
			x.SetNamespace("ns", map[string]string{"name": "ns"})
			x.SetNamespace("other", map[string]string{"team": "a"})
			w := &worker{}
			w.take(x)
			got := w.pods["ns-web"]
			var allowed []string
			for way, rules := range map[string]*runtime.Rules{"in": got.Ingress, "out": got.Egress} {
				var some []string
				asked := 0
				for _, a := range all {
					for _, port := range []uint16{80, 8080, 5432, 5433, 53} {
						protocol := runtime.TCP
						if port == 53 {
							protocol = runtime.UDP
						}
						if asked++; w.allows(rules, netip.MustParseAddr(a), protocol, port) {
							some = append(some, fmt.Sprintf("%s %s %d", way, a, port))
						}
					}
				}
				if len(some) == asked {
					some = []string{way + " *"}
				}
				allowed = append(allowed, some...)
			}
			slices.Sort(allowed)
			slices.Sort(tt.want)
			if !slices.Equal(allowed, tt.want) {
				t.Errorf("allowed are\n%q, want\n%q", allowed, tt.want)
			}
		})
	}
}

// Policies do not apply to pods in the host's network, and nothing does while they are not
// enforced.
func TestPodsWithoutPolicies(t *testing.T) {
	x, w := NewIndex(), &worker{}
	x.SetPolicy(policy(t, "deny", `{podSelector: {}, policyTypes: [Ingress, Egress]}`))
	host := newPod("ns", "host", "", nil)
	host.Host = true
	x.SetLocal(host)
	x.SetLocal(newPod("ns", "web", "10.0.0.1", nil))
	w.take(x)
	if r := w.pods["ns-host"]; r.Ingress != nil || r.Egress != nil {
		t.Errorf("a pod in the host's network has %+v", r)
	}
	if r := w.pods["ns-web"]; r.Ingress == nil || r.Egress == nil {
		t.Errorf("a pod has %+v", r)
	}
	x.Ignore(true)
	w.take(x)
	if r := w.pods["ns-web"]; r.Ingress != nil || r.Egress != nil {
		t.Errorf("a pod has %+v while policies are not enforced", r)
	}
	x.DeleteLocal("ns-web")
	w.take(x)
	if _, there := w.pods["ns-web"]; there {
		t.Error("a deleted pod has rules")
	}
}

func TestPodOf(t *testing.T) {
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "a", Annotations: map[string]string{"large": "text"}}}
	pod.Spec.Containers = []corev1.Container{{Ports: []corev1.ContainerPort{{Name: "dns", ContainerPort: 53, Protocol: corev1.ProtocolUDP}, {ContainerPort: 9}}}}
	pod.Status.HostIP, pod.Status.HostIPs = "192.0.2.1", []corev1.HostIP{{IP: "192.0.2.1"}, {IP: "fd00::1"}}
	pod.Status.PodIPs = []corev1.PodIP{{IP: "10.0.0.1"}, {IP: "fd00::1"}}
	p := PodOf(pod)
	if !slices.Equal(p.IPs, []netip.Addr{netip.MustParseAddr("10.0.0.1")}) {
		t.Errorf("its own addresses are %v", p.IPs)
	}
	if !slices.Equal(p.Ports, []NamedPort{{"dns", corev1.ProtocolUDP, 53}}) || p.Annotations != nil {
		t.Errorf("%+v", p)
	}
	for _, change := range []func(){
		func() { pod.Status.Phase = corev1.PodFailed },
		func() { pod.Status.Phase, pod.Spec.HostNetwork = "", true },
	} {
		if change(); len(PodOf(pod).IPs) > 0 {
			t.Errorf("%+v counts as a peer", pod.Status)
		}
	}
}

// world is what a script does to a cluster, and the truth about it.
type world struct {
	x          *Index
	policies   map[string]*networkingv1.NetworkPolicy
	namespaces map[string]map[string]string
	pods       map[types.UID]*Pod
	local      map[types.UID]bool
}

var (
	someLabels = []map[string]string{nil, {"a": "1"}, {"a": "2"}, {"a": "1", "b": "1"}}
	selectorsS = []*metav1.LabelSelector{nil, {}, {MatchLabels: map[string]string{"a": "1"}}, {MatchLabels: map[string]string{"b": "1"}},
		{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "a", Operator: metav1.LabelSelectorOpExists}}}}
)

func (w *world) step(op, of, how byte) {
	namespace := fmt.Sprint("n", of%2)
	uid := types.UID(fmt.Sprint("u", of%6))
	switch op % 6 {
	case 0, 1: // a pod is new, or changes
		p := newPod(fmt.Sprint("n", of%6%2), string(uid), fmt.Sprintf("10.0.0.%d", 1+how%7), someLabels[how%4])
		p.UID = uid
		if how%3 == 0 {
			p.Ports = []NamedPort{{"web", corev1.ProtocolTCP, uint16(80 + how%2)}}
		}
		if how%11 == 0 {
			p.IPs = nil
		}
		w.pods[uid], w.local[uid] = p, of%6 < 2
		if w.local[uid] {
			w.x.SetLocal(p)
		} else {
			w.x.SetPod(p)
		}
	case 2:
		if p := w.pods[uid]; p != nil {
			delete(w.pods, uid)
			if w.local[uid] {
				w.x.DeleteLocal(uid)
			} else {
				w.x.DeletePod(p.Namespace, uid)
			}
		}
	case 3:
		if how%5 == 0 {
			delete(w.namespaces, namespace)
			w.x.DeleteNamespace(namespace)
			return
		}
		w.namespaces[namespace] = someLabels[how%4]
		w.x.SetNamespace(namespace, someLabels[how%4])
	case 4:
		p := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: fmt.Sprint("p", of%3)}}
		if s := selectorsS[how%5]; s != nil {
			p.Spec.PodSelector = *s
		}
		peers := []networkingv1.NetworkPolicyPeer{{PodSelector: selectorsS[1+how%4], NamespaceSelector: selectorsS[of%5]}}
		if how%7 == 0 {
			peers = append(peers, networkingv1.NetworkPolicyPeer{IPBlock: &networkingv1.IPBlock{CIDR: "10.0.0.0/29", Except: []string{"10.0.0.4/31"}}})
		}
		var ports []networkingv1.NetworkPolicyPort
		switch how % 3 {
		case 1:
			named := intstr.FromString("web")
			ports = append(ports, networkingv1.NetworkPolicyPort{Port: &named})
		case 2:
			number := intstr.FromInt32(80)
			ports = append(ports, networkingv1.NetworkPolicyPort{Port: &number})
		}
		if how%2 == 0 {
			p.Spec.Ingress = []networkingv1.NetworkPolicyIngressRule{{From: peers, Ports: ports}}
		} else {
			p.Spec.Egress = []networkingv1.NetworkPolicyEgressRule{{To: peers, Ports: ports}}
			p.Spec.PolicyTypes = []networkingv1.PolicyType{networkingv1.PolicyTypeEgress}
		}
		w.policies[p.Namespace+p.Name] = p
		w.x.SetPolicy(p)
	case 5:
		name := namespace + fmt.Sprint("p", of%3)
		if p := w.policies[name]; p != nil {
			delete(w.policies, name)
			w.x.DeletePolicy(p)
		}
	}
}

func selects(s *metav1.LabelSelector, of map[string]string) bool {
	selector, err := metav1.LabelSelectorAsSelector(s)
	return err == nil && selector.Matches(labels.Set(of))
}

// allows decides by the objects themselves, and as simply as possible: whether the pod may have a
// connection with the other end at a port of TCP.
func (w *world) allows(p *Pod, ingress bool, other netip.Addr, port uint16) bool {
	isolated := false
	for _, policy := range w.policies {
		if policy.Namespace != p.Namespace || !selects(&policy.Spec.PodSelector, p.Labels) || ingress != (len(policy.Spec.Egress) == 0) {
			continue
		}
		isolated = true
		var peers []networkingv1.NetworkPolicyPeer
		var ports []networkingv1.NetworkPolicyPort
		if ingress {
			peers, ports = policy.Spec.Ingress[0].From, policy.Spec.Ingress[0].Ports
		} else {
			peers, ports = policy.Spec.Egress[0].To, policy.Spec.Egress[0].Ports
		}
		for _, one := range peers {
			if one.IPBlock != nil {
				named := len(ports) > 0 && ports[0].Port.Type == intstr.String
				in := netip.MustParsePrefix("10.0.0.0/29").Contains(other) && !netip.MustParsePrefix("10.0.0.4/31").Contains(other)
				target := p
				if !ingress {
					target = nil
				}
				if in && (!named && fits(ports, target, port) || named && ingress && fits(ports, p, port)) {
					return true
				}
				continue
			}
			for _, q := range w.pods {
				of, known := w.namespaces[q.Namespace]
				switch {
				case !slices.Contains(q.IPs, other):
				case one.NamespaceSelector == nil && q.Namespace != p.Namespace:
				case one.NamespaceSelector != nil && (!known || !selects(one.NamespaceSelector, of)):
				case one.PodSelector != nil && !selects(one.PodSelector, q.Labels):
				case ingress && fits(ports, p, port), !ingress && fits(ports, q, port):
					return true
				}
			}
		}
	}
	return !isolated
}

// fits reports whether a port is one of a rule. The target has the named ports.
func fits(ports []networkingv1.NetworkPolicyPort, target *Pod, port uint16) bool {
	return len(ports) == 0 || slices.ContainsFunc(ports, func(p networkingv1.NetworkPolicyPort) bool {
		if p.Port.Type == intstr.Int {
			return p.Port.IntVal == int32(port)
		}
		return target != nil && slices.Contains(target.numbers(p.Port.StrVal, corev1.ProtocolTCP), port)
	})
}

// FuzzIndex does anything to a cluster, and compares what workers know with what the objects say:
// the one that got each change, and one that was told everything at the end.
func FuzzIndex(f *testing.F) {
	random := rand.New(rand.NewPCG(1, 2)) // the same scripts in each run
	for range 10 {
		script := make([]byte, 240)
		for i := range script {
			script[i] = byte(random.UintN(256))
		}
		f.Add(script)
	}
	f.Fuzz(func(t *testing.T, script []byte) {
		w := &world{NewIndex(), map[string]*networkingv1.NetworkPolicy{}, map[string]map[string]string{}, map[types.UID]*Pod{}, map[types.UID]bool{}}
		follows := &worker{}
		for i := 0; i+3 <= len(script); i += 3 {
			w.step(script[i], script[i+1], script[i+2])
			if script[i]&64 == 0 {
				continue // several changes are taken together
			}
			follows.take(w.x)
			joins := &worker{}
			all := w.x.All()
			all.Reset = true
			joins.apply(all)
			for _, of := range []*worker{follows, joins} {
				w.compare(t, i/3, of)
			}
		}
	})
}

func (w *world) compare(t *testing.T, step int, of *worker) {
	t.Helper()
	for uid, p := range w.pods {
		rules, known := of.pods[string(uid)]
		if known != w.local[uid] {
			t.Fatalf("step %d: of pod %s there are rules: %v", step, uid, known)
		}
		if !known {
			continue
		}
		for last := range byte(9) {
			other := netip.AddrFrom4([4]byte{10, 0, 0, last})
			for _, port := range []uint16{80, 81, 82} {
				if got, want := of.allows(rules.Ingress, other, runtime.TCP, port), w.allows(p, true, other, port); got != want {
					t.Fatalf("step %d: connections of %v to %s at %d are allowed: %v, want %v", step, other, uid, port, got, want)
				}
				if got, want := w.x.Admits(uid, other, port), w.allows(p, true, other, port) || slices.Contains(p.IPs, other); got != want {
					t.Fatalf("step %d: the agent forwards connections of %v to %s at %d: %v, want %v", step, other, uid, port, got, want)
				}
				if got, want := of.allows(rules.Egress, other, runtime.TCP, port), w.allows(p, false, other, port); got != want {
					t.Fatalf("step %d: connections from %s to %v at %d are allowed: %v, want %v", step, uid, other, port, got, want)
				}
			}
		}
	}
	for uid := range of.pods {
		if w.pods[types.UID(uid)] == nil {
			t.Fatalf("step %d: there are rules of pod %s, which is gone", step, uid)
		}
	}
}

// BenchmarkPodChange is a change of a pod in a cluster with 10,000 pods and 200 sets.
func BenchmarkPodChange(b *testing.B) {
	x := NewIndex()
	for i := range 10_000 {
		p := newPod(fmt.Sprint("n", i%50), fmt.Sprint("p", i), "", map[string]string{"app": fmt.Sprint(i % 200)})
		p.IPs = []netip.Addr{netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})}
		x.SetPod(p)
	}
	for i := range 50 {
		x.SetNamespace(fmt.Sprint("n", i), nil)
	}
	for i := range 200 {
		p := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "n0", Name: fmt.Sprint("p", i)}}
		p.Spec.Ingress = []networkingv1.NetworkPolicyIngressRule{{From: []networkingv1.NetworkPolicyPeer{{
			NamespaceSelector: &metav1.LabelSelector{}, PodSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": fmt.Sprint(i)}},
		}}}}
		x.SetPolicy(p)
	}
	x.SetLocal(newPod("n0", "local", "10.9.9.9", nil))
	x.Prepare()
	x.Take()
	for i := 0; b.Loop(); i++ {
		p := newPod("n1", "moving", "10.8.8.8", map[string]string{"app": fmt.Sprint(i % 200)})
		x.SetPod(p)
		x.Prepare()
		x.Take()
	}
}
