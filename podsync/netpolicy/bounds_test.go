package netpolicy

import (
	"fmt"
	"strings"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// TestTooManyRules: policies that say more than a node takes allow nothing, and cost little. When
// they are gone, all is as before.
func TestTooManyRules(t *testing.T) {
	many := func(n int, form string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, form+",", i)
		}
		return b.String()
	}
	for name, spec := range map[string]string{
		"sets":       `{podSelector: {}, policyTypes: [Egress], egress: [{}, {to: [` + many(2500, `{podSelector: {matchLabels: {a: v%d}}}`) + `]}]}`,
		"ranges":     `{podSelector: {}, policyTypes: [Egress], egress: [{}, {to: [` + strings.Repeat(`{ipBlock: {cidr: 10.0.0.0/8}},`, 21000) + `]}]}`,
		"exceptions": `{podSelector: {}, policyTypes: [Egress], egress: [{}, {to: [{ipBlock: {cidr: 0.0.0.0/0, except: [` + many(21000, `10.0.0.%d/32`) + `]}}]}]}`,
		"ports":      `{podSelector: {}, policyTypes: [Egress], egress: [{}, {ports: [` + many(21000, `{port: %d}`) + `]}]}`,
		"named":      `{podSelector: {}, policyTypes: [Egress], egress: [{}, {to: [` + many(100, `{podSelector: {matchLabels: {a: v%d}}}`) + `], ports: [` + many(100, `{port: p%d}`) + `]}]}`,
		"rules":      `{podSelector: {}, policyTypes: [Egress], egress: [` + many(21000, `{ports: [{port: %d}]}`) + `]}`,
	} {
		spec = strings.ReplaceAll(spec, ",]", "]")
		x, w := NewIndex(), &worker{}
		x.SetNamespace("ns", nil)
		pod := newPod("ns", "web", "10.0.0.1", nil)
		x.SetLocal(pod)
		p := policy(t, "many", spec)
		x.SetPolicy(p)
		w.take(x)
		rules := w.pods[string(pod.UID)].Egress
		if rules == nil || len(rules.List) > 0 || len(w.sets) > 0 || len(x.sets) > 0 {
			t.Errorf("%s: there are rules, and %d sets", name, len(x.sets))
		}
		if w.allows(rules, pod.IPs[0], runtime.TCP, 80) {
			t.Errorf("%s: something is allowed", name)
		}
		x.DeletePolicy(p)
		if w.take(x); w.pods[string(pod.UID)].Egress != nil {
			t.Errorf("%s: rules without a policy", name)
		}
	}
}
