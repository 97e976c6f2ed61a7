package podsync

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/krustlet-go/krustlet-wasi/hack/testpod"
	"github.com/krustlet-go/krustlet-wasi/node"
)

func TestRank(t *testing.T) {
	type pod struct {
		name          string
		priority      int32
		used, request int64
		more          bool
	}
	for name, test := range map[string]struct {
		signal node.Signal
		pods   []pod
		want   string
	}{
		"beyond the request first": {node.MemoryAvailable, []pod{{"a", 0, 90, 100, false}, {"b", 0, 20, 10, false}}, "b a"},
		"whatever the priority":    {node.MemoryAvailable, []pod{{"a", 0, 90, 100, false}, {"b", 9, 20, 10, false}}, "b a"},
		"then priority":            {node.MemoryAvailable, []pod{{"a", 5, 500, 10, false}, {"b", 1, 20, 10, false}, {"c", 0, 5, 10, false}, {"d", -1, 5, 10, false}}, "b a d c"},
		"then the most beyond":     {node.DiskAvailable, []pod{{"a", 0, 100, 90, false}, {"b", 0, 50, 0, false}, {"c", 0, 10, 20, false}, {"d", 0, 10, 30, false}}, "b a c d"},
		"inodes":                   {node.InodesFree, []pod{{"a", 0, 10, 0, false}, {"b", 0, 50, 0, false}, {"c", 1, 90, 0, false}}, "b a c"},
		"threads":                  {node.PIDAvailable, []pod{{"a", 2, 0, 0, false}, {"b", 1, 0, 0, false}, {"c", 3, 0, 0, false}}, "b a c"},
		"what cannot be counted":   {node.DiskAvailable, []pod{{"a", 0, 600 << 20, 0, false}, {"deep", 9, 4 << 10, 1 << 20, true}, {"b", -1, 900 << 20, 0, false}}, "deep b a"},
		"as like as two peas":      {node.MemoryAvailable, []pod{{"b", 0, 1, 0, false}, {"a", 0, 1, 0, false}}, "a b"},
	} {
		t.Run(name, func(t *testing.T) {
			var pods []candidate
			for _, p := range test.pods {
				of := testpod.New(corev1.RestartPolicyAlways, "a")
				of.Name, of.Spec.Priority = p.name, &p.priority
				pods = append(pods, candidate{pod: of, consumption: consumption{p.used, p.request, p.more}})
			}
			rank(test.signal, pods)
			var got []string
			for _, p := range pods {
				got = append(got, p.pod.Name)
			}
			if order := strings.Join(got, " "); order != test.want {
				t.Errorf("%s, want %s", order, test.want)
			}
		})
	}
}

func TestLowMessage(t *testing.T) {
	pod := testpod.New(corev1.RestartPolicyAlways, "main", "side", "small")
	short := node.Shortage{Signal: node.MemoryAvailable, Resource: "memory", Threshold: resource.MustParse("100Mi"), Available: resource.MustParse("90Mi")}
	const low = "The node was low on resource: memory. Threshold quantity: 100Mi, available: 90Mi. "
	for name, test := range map[string]struct {
		containers map[string]consumption
		want       string
	}{
		"none": {nil, low},
		"one":  {map[string]consumption{"main": {20 << 20, 0, false}}, low + "Container main was using 20Mi, request is 0, has larger consumption of memory. "},
		"two of three": {map[string]consumption{"small": {1 << 20, 1 << 20, false}, "side": {3 << 10, 2 << 10, false}, "main": {20 << 20, 0, false}},
			low + "Container main was using 20Mi, request is 0, has larger consumption of memory. Container side was using 3Ki, request is 2Ki, has larger consumption of memory. "},
		"one that cannot be counted": {map[string]consumption{"main": {20 << 20, 30 << 20, true}}, low + "Container main was using more than 20Mi, request is 30Mi, has larger consumption of memory. "},
	} {
		if got := lowMessage(short, candidate{pod: pod, containers: test.containers}); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}
