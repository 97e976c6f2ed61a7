package podsync

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/krustlet-go/krustlet-wasi/hack/testpod"
	"github.com/krustlet-go/krustlet-wasi/podsync/podfiles"
	"github.com/krustlet-go/krustlet-wasi/podsync/podspec"
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// fakeNetwork is a Cluster with one namespace.
type fakeNetwork struct {
	Cluster
	limit    *string
	lacks    error
	connects bool // what was asked last
}

func (f *fakeNetwork) Await(_ context.Context, connects bool) error {
	f.connects = connects
	return f.lacks
}

func (f *fakeNetwork) Namespace(name string) *corev1.Namespace {
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if f.limit != nil {
		ns.Annotations = map[string]string{"krustlet-wasi.dev/egress-limit": *f.limit}
	}
	return ns
}

func (f *fakeNetwork) Rules(uid types.UID) runtime.PodRules {
	return runtime.PodRules{Pod: string(uid), Ingress: &runtime.Rules{}}
}

func TestGuestNetwork(t *testing.T) {
	limit, wrong := "cluster", "10.0.0.0/99"
	for name, tt := range map[string]struct {
		annotations map[string]string
		cluster     fakeNetwork
		want        runtime.Egress
		err         string
	}{
		"the node's": {nil, fakeNetwork{}, runtime.Egress{Limits: []string{"*"}, Allow: "default.example"}, ""},
		"the pod's":  {map[string]string{"egress": "a.example"}, fakeNetwork{}, runtime.Egress{Limits: []string{"*"}, Allow: "a.example"}, ""},
		"nowhere":    {map[string]string{"egress": ""}, fakeNetwork{}, runtime.Egress{Limits: []string{"*"}}, ""},
		"the namespace's limit, and an audit": {map[string]string{"egress-audit": "true"}, fakeNetwork{limit: &limit},
			runtime.Egress{Limits: []string{"*", "cluster"}, Allow: "default.example", Audit: true}, ""},
		"a wrong list":             {map[string]string{"egress": "a..b"}, fakeNetwork{}, runtime.Egress{}, "reading annotation krustlet-wasi.dev/egress: entry 1"},
		"a wrong limit":            {nil, fakeNetwork{limit: &wrong}, runtime.Egress{}, "reading annotation krustlet-wasi.dev/egress-limit of the namespace: entry 1"},
		"rules that are not there": {nil, fakeNetwork{lacks: errors.New("no lists")}, runtime.Egress{}, "waiting for the rules of the network: no lists"},
	} {
		t.Run(name, func(t *testing.T) {
			node := &Manager{Settings: Settings{EgressLimit: "*", DefaultEgress: "default.example", Cluster: &tt.cluster, DNS: podfiles.DNS{Domain: "c.test"}}}
			w := &podActions{node: node, log: strictLog()}
			pod := testpod.New(corev1.RestartPolicyAlways, "a")
			pod.UID, pod.Annotations = "u1", map[string]string{}
			for key, value := range tt.annotations {
				pod.Annotations["krustlet-wasi.dev/"+key] = value
			}
			own := []netip.Addr{netip.MustParseAddr("10.0.0.1")}
			n, err := w.guestNetwork(t.Context(), pod, podspec.Reach{Host: testpod.NodeAddress, Pod: own, Own: true})
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("error %v, want %q", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			e := n.Egress
			if !slices.Equal(e.Limits, tt.want.Limits) || e.Allow != tt.want.Allow || e.Audit != tt.want.Audit || e.Domain != "c.test" {
				t.Errorf("egress %+v, want %+v", e, tt.want)
			}
			if !n.Own || !slices.Equal(n.Addresses, own) || n.Rules.Pod != "u1" || n.Rules.Ingress == nil {
				t.Errorf("%+v", n)
			}
			if tt.cluster.connects != (e.Allow != "") {
				t.Errorf("whether it connects to something was asked as %v", tt.cluster.connects)
			}
		})
	}
}
