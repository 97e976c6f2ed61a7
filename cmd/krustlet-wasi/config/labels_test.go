package config

import (
	"testing"

	"k8s.io/apimachinery/pkg/util/validation"
)

func TestSettableLabels(t *testing.T) {
	for label, want := range map[string]bool{
		"disk":                                     true,
		"example.org/disk":                         true,
		"kubernetes.io.example.org/disk":           true,
		"notkubernetes.io/disk":                    true,
		"kubernetes.io/hostname":                   true,
		"kubernetes.io/arch":                       true,
		"beta.kubernetes.io/os":                    true,
		"topology.kubernetes.io/zone":              true,
		"topology.kubernetes.io/rack":              false,
		"node.kubernetes.io/anything":              true,
		"team.node.kubernetes.io/anything":         true,
		"kubelet.kubernetes.io/anything":           true,
		"node-restriction.kubernetes.io/safe":      false,
		"team.node-restriction.kubernetes.io/safe": false,
		"node-role.kubernetes.io/worker":           false,
		"kubernetes.io/role":                       false,
		"k8s.io/anything":                          false,
		"a.k8s.io/anything":                        false,
	} {
		if got := settableLabel(label); got != want {
			t.Errorf("%s: %v, want %v", label, got, want)
		}
	}
}

// FuzzLabels: if parseLabels accepts labels, the API server would accept them too.
func FuzzLabels(f *testing.F) {
	for _, seed := range []string{"a=b", "a", "a=b=c", "=", "a/b=c", "a/b/c=d", " a = b ", "a=b,,a=b", "a=1,a=2"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		labels, err := parseLabels(SplitList(value))
		if err != nil {
			return
		}
		for k, v := range labels {
			if len(validation.IsQualifiedName(k)) > 0 || len(validation.IsValidLabelValue(v)) > 0 {
				t.Errorf("%q gives the label %q=%q", value, k, v)
			}
		}
	})
}

// FuzzTaints: the text form of an accepted taint parses to the same taint.
func FuzzTaints(f *testing.F) {
	for _, seed := range []string{"a=b:NoSchedule", "a:NoExecute", "a=:NoSchedule", "a", ":", "a=b:c:NoSchedule", "a:NoSchedule,a:NoSchedule"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		taints, err := parseTaints(SplitList(value))
		if err != nil {
			return
		}
		if taints == nil {
			t.Error("taints are nil, which stands for the default ones")
		}
		for _, taint := range taints {
			again, err := parseTaint(taint.ToString())
			if err != nil || again != taint {
				t.Errorf("%q gives %v, which reads as %v, %v", value, taint, again, err)
			}
		}
	})
}
