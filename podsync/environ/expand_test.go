package environ

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

func TestExpand(t *testing.T) {
	env := []corev1.EnvVar{{Name: "A", Value: "1"}, {Name: "B", Value: "$(A)"}}
	for in, want := range map[string]string{
		"":             "",
		"plain":        "plain",
		"$(A)":         "1",
		"x$(A)y$(A)z":  "x1y1z",
		"$(B)":         "$(A)", // the result of an expansion is not expanded again
		"$$(A)":        "$(A)",
		"$$$(A)":       "$1",
		"$$$$(A)":      "$$(A)",
		"$(NOPE)":      "$(NOPE)",
		"$(A":          "$(A",
		"$":            "$",
		"$$":           "$",
		"cost: $5":     "cost: $5",
		"$()":          "$()",
		"$(A)$":        "1$",
		"(A) $A ${A}":  "(A) $A ${A}",
		"$(A B) $(A)":  "$(A B) 1",
		"é$(A)ü":       "é1ü",
		"$(A$(A))":     "$(A$(A))",
		"a ) $(A) b )": "a ) 1 b )",
	} {
		if got := Expand(in, env); got != want {
			t.Errorf("expand(%q) = %q, want %q", in, got, want)
		}
	}
}

func FuzzExpand(f *testing.F) {
	for _, seed := range []string{"$(A)", "$$(A)", "$(", "x$(NOPE)y", "$)$($"} {
		f.Add(seed)
	}
	env := []corev1.EnvVar{{Name: "A", Value: "value"}}
	f.Fuzz(func(t *testing.T, text string) {
		got := Expand(text, env)
		if !strings.Contains(text, "$") && got != text {
			t.Errorf("expand(%q) = %q, and there is nothing to expand", text, got)
		}
		if escaped := strings.ReplaceAll(text, "$", "$$"); Expand(escaped, env) != text {
			t.Errorf("expand(%q) = %q: an escaped text does not come back", escaped, Expand(escaped, env))
		}
	})
}

func TestExpandStrictly(t *testing.T) {
	env := []string{"A=1", "B=", "C=$(A)=x"}
	for text, want := range map[string]string{"$(A)/x": "1/x", "$(B)": "", "$(C)": "$(A)=x", "$$(A)": "$(A)", "plain": "plain"} {
		if got, err := ExpandStrictly(text, env); err != nil || got != want {
			t.Errorf("%s: %q %v, want %q", text, got, err, want)
		}
	}
	if _, err := ExpandStrictly("x$(NONE)", env); err == nil || err.Error() != `missing value for "NONE"` {
		t.Errorf("an unknown variable: %v", err)
	}
}
