package config

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/cmd/krustlet-wasi/exit"
)

// FuzzParseConfigFile: every file gives values of known keys, or an error with one line for each
// problem. The values agree with encoding/json.
func FuzzParseConfigFile(f *testing.F) {
	for _, seed := range []string{
		`{}`, ``, `[]`, `null`, `{"maxPods": 1}`, `{"maxPods" : null }`, `{"maxPods": 1, "maxPods": 2}`,
		`{"nodeLabels": {"a": "b", "a": "c"}}`, `{"nodeLabels": {"a": [1, {"b": 2}]}}`,
		`{"insecureRegistries": ["a", null, 3]}`, `{"nodeName": "\ud800\n"}`, "{\"nodeName\": \"a\nb\"}",
		`{"allowLocalModules": true,}`, `{"x\ny": 1}`, `{"listenerPort": 1e400}`, `{} x`, "\ufeff{}",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		values, err := parseConfigFile("FILE", data)
		for _, e := range problemsOf(err) {
			if !strings.HasPrefix(e, "configuration file FILE: ") {
				t.Errorf("the error does not name the file: %q", e)
			}
		}
		var plain map[string]any
		if json.Unmarshal(data, &plain) != nil && err == nil {
			t.Errorf("%q is no JSON object, and was read", data)
		}
		for key, g := range values {
			value, ok := plain[key]
			if !ok {
				t.Errorf("key %q is not in %q", key, data)
			}
			if s, ok := value.(string); ok && s != g.text && err == nil {
				t.Errorf("key %q is %q, want %q", key, g.text, s)
			}
			if a, ok := value.([]any); ok && len(a) != len(g.items) && err == nil {
				t.Errorf("key %q has %d items, want %d", key, len(g.items), len(a))
			}
			// The value may be wrong for the setting, but must not crash the program.
			applyAny(t, key, g)
		}
	})
}

func applyAny(t *testing.T, key string, g given) {
	t.Helper()
	for _, s := range settings() {
		if s.key == key {
			var c Config
			_ = s.apply(&c, g)
			return
		}
	}
	t.Errorf("key %q belongs to no setting", key)
}

func problemsOf(err error) []string {
	if err == nil {
		return nil
	}
	var all []string
	for _, e := range exit.Problems(err) {
		all = append(all, e.Error())
	}
	return all
}
