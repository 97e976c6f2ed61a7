package config

import (
	"crypto/tls"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/krustlet-go/krustlet-wasi/cmd/krustlet-wasi/logging"
)

// shown is a location at which /configz shows a setting, and the value there. A nil value is left
// out.
type shown struct {
	path  []string // in kubeletconfig, as in the stock kubelet's file; nil: a setting of krustlet-wasi's own
	key   string   // the key of an own setting; empty: its key in the configuration file
	value func(Config) any
}

// kubelet shows a setting at its path in the stock kubelet's KubeletConfiguration. The path has the
// form authentication.webhook.cacheTTL.
func kubelet(path string, value func(Config) any) []shown {
	return []shown{{path: strings.Split(path, "."), value: value}}
}

// ours shows a setting that does not exist in the stock kubelet's file.
func ours(value func(Config) any) []shown { return []shown{{value: value}} }

// oursAs is like ours, for a setting that has no key in the configuration file.
func oursAs(key string, value func(Config) any) []shown { return []shown{{key: key, value: value}} }

// Shown is what /configz shows: the settings that are in effect. kubeletconfig is a
// KubeletConfiguration of the stock kubelet, with the settings that the stock kubelet knows.
// krustlet-wasi has the other settings. Files with secrets appear by name, without their content.
func (c Config) Shown() any {
	theirs := map[string]any{
		"kind":       "KubeletConfiguration",
		"apiVersion": "kubelet.config.k8s.io/v1beta1",
		// These values are fixed in this agent.
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

// put stores a value at a path of nested objects. It makes missing objects.
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

// podCIDROf joins the ranges, in the form that the stock kubelet's file has for two ranges.
func podCIDROf(c Config) any { return strings.Join(texts(c.PodCIDRs), ",") }

// podCIDRsOf has two values that podCIDR cannot tell apart: no range is set, or pods have the
// node's address.
func podCIDRsOf(c Config) any {
	if c.NodeAddressOnly {
		return []string{noPodCIDR}
	}
	return texts(c.PodCIDRs)
}

// taintsOf is nil if the user has not set any taints. Then the node's own taints apply.
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

// suitesOf are the names of the cipher suites that the user chose, or nil.
func suitesOf(c Config) any {
	names := make([]string, len(c.API.TLSCipherSuites))
	for i, suite := range c.API.TLSCipherSuites {
		names[i] = tls.CipherSuiteName(suite)
	}
	return orAbsent(names)
}

// tracingOf leaves out the whole of tracing if it is off. For the stock kubelet an empty object
// would mean a default collector.
func tracingOf(value func(Config) any) func(Config) any {
	return func(c Config) any {
		if c.TracingEndpoint == "" {
			return nil
		}
		return value(c)
	}
}

// logFormatOf is the stock kubelet's name for the log's format.
func logFormatOf(c Config) any {
	if c.LogFormat == logging.Console {
		return "text"
	}
	return c.LogFormat
}

// quantity writes a number of bytes as the file does.
func quantity(bytes int64) string { return resource.NewQuantity(bytes, resource.BinarySI).String() }

// listed returns a list that is shown even if it is empty.
func listed(items []string) []string { return append([]string{}, items...) }

// orAbsent returns a list, or nil if it is empty. Then /configz leaves it out.
func orAbsent(items []string) any {
	if len(items) == 0 {
		return nil
	}
	return items
}

// texts turns each value into text.
func texts[T fmt.Stringer](all []T) []string {
	out := make([]string, len(all))
	for i, one := range all {
		out[i] = one.String()
	}
	return out
}
