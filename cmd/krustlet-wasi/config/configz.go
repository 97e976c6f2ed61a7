package config

import (
	"crypto/tls"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/krustlet-go/krustlet-wasi/cmd/krustlet-wasi/logging"
)

// shown is a location at which /configz shows a setting, and the value there. nil is left out.
type shown struct {
	path  []string // in kubeletconfig, as the stock kubelet's file has it; nil: it is one of ours
	key   string   // among ours; empty: the setting's key in the configuration file
	value func(Config) any
}

// kubelet shows a setting where the stock kubelet's KubeletConfiguration has it: path is as in
// authentication.webhook.cacheTTL.
func kubelet(path string, value func(Config) any) []shown {
	return []shown{{path: strings.Split(path, "."), value: value}}
}

// ours shows a setting that the stock kubelet does not have in its file.
func ours(value func(Config) any) []shown { return []shown{{value: value}} }

// oursAs is ours for a setting that the configuration file cannot have.
func oursAs(key string, value func(Config) any) []shown { return []shown{{key: key, value: value}} }

// Shown is what /configz shows: the settings that are in effect. kubeletconfig is a
// KubeletConfiguration of the stock kubelet, with the settings that it knows; krustlet-wasi has the
// others. Files with secrets are named, and their content is not shown.
func (c Config) Shown() any {
	theirs := map[string]any{
		"kind":       "KubeletConfiguration",
		"apiVersion": "kubelet.config.k8s.io/v1beta1",
		// The agent has no choice in these.
		"registerNode": true,
		"readOnlyPort": 0,
	}
	own := map[string]any{}
	for _, s := range settings() {
		for _, at := range s.shown {
			value := at.value(c)
			switch {
			case value == nil:
			case at.path != nil:
				put(theirs, at.path, value)
			case at.key != "":
				own[at.key] = value
			default:
				own[s.key] = value
			}
		}
	}
	return map[string]any{"kubeletconfig": theirs, "krustlet-wasi": own}
}

// put stores a value at a path of nested objects, and makes the objects.
func put(object map[string]any, path []string, value any) {
	for _, name := range path[:len(path)-1] {
		inner, ok := object[name].(map[string]any)
		if !ok {
			inner = map[string]any{}
			object[name] = inner
		}
		object = inner
	}
	object[path[len(path)-1]] = value
}

// podCIDROf joins the ranges, as a node with two has them in its file.
func podCIDROf(c Config) any { return strings.Join(texts(c.PodCIDRs), ",") }

// podCIDRsOf tells apart what podCIDR cannot: no range is set, or pods have the node's address.
func podCIDRsOf(c Config) any {
	if c.NodeAddressOnly {
		return []string{noPodCIDR}
	}
	return texts(c.PodCIDRs)
}

// taintsOf leaves out the taints if the user has set none. Then the node's own apply.
func taintsOf(c Config) any {
	if c.RegisterWithTaints == nil {
		return nil
	}
	return c.RegisterWithTaints
}

// thresholdsOf are the thresholds of eviction, by signal.
func thresholdsOf(c Config) any {
	values := map[string]string{}
	for _, t := range c.EvictionHard {
		values[string(t.Signal)] = t.Value()
	}
	return values
}

// suitesOf are the names of the cipher suites that the user chose. Without a choice they are left
// out.
func suitesOf(c Config) any {
	names := make([]string, len(c.API.TLSCipherSuites))
	for i, suite := range c.API.TLSCipherSuites {
		names[i] = tls.CipherSuiteName(suite)
	}
	return orAbsent(names)
}

// tracingOf leaves out all of tracing if there is none. An empty object would mean a default
// collector to the stock kubelet.
func tracingOf(value func(Config) any) func(Config) any {
	return func(c Config) any {
		if c.TracingEndpoint == "" {
			return nil
		}
		return value(c)
	}
}

// logFormatOf is the stock kubelet's name of the log's format.
func logFormatOf(c Config) any {
	if c.LogFormat == logging.Console {
		return "text"
	}
	return c.LogFormat
}

// quantity writes a number of bytes as the file does.
func quantity(bytes int64) string { return resource.NewQuantity(bytes, resource.BinarySI).String() }

// listed is a list that is shown although it is empty.
func listed(items []string) []string { return append([]string{}, items...) }

// orAbsent is a list that is left out when it is empty.
func orAbsent(items []string) any {
	if len(items) == 0 {
		return nil
	}
	return items
}

// texts writes each as text.
func texts[T fmt.Stringer](all []T) []string {
	out := make([]string, len(all))
	for i, one := range all {
		out[i] = one.String()
	}
	return out
}
