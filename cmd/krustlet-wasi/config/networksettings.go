package config

import (
	"fmt"
	"strings"

	"github.com/krustlet-go/krustlet-wasi/runtime/egress"
)

// The values of --services.
const (
	ServicesByHost   = "host"
	ServicesByKernel = "kernel"
)

func networkSettings() []setting {
	return []setting{{
		flag: "egress-limit", env: "KRUSTLET_EGRESS_LIMIT", key: "egressLimit", group: groupNetwork, arg: "LIST", kind: list,
		usage: "where containers may connect to at most: hosts, *.example.com, host:443, CIDRs, cluster; * for everything but the node itself and metadata addresses; empty: nowhere",
		def:   defaultEgressLimit,
		shown: ours(func(c Config) any { return c.EgressLimit }),
		apply: func(c *Config, g given) (err error) { c.EgressLimit, err = parseEgress(g.items); return err },
	}, {
		flag: "default-egress", env: "KRUSTLET_DEFAULT_EGRESS", key: "defaultEgress", group: groupNetwork, arg: "LIST", kind: list,
		usage: "where containers may connect to, within the limit, if their pod does not say",
		def:   "none: nowhere",
		shown: ours(func(c Config) any { return c.DefaultEgress }),
		apply: func(c *Config, g given) (err error) { c.DefaultEgress, err = parseEgress(g.items); return err },
	}, {
		flag: "services", env: "KRUSTLET_SERVICES", key: "services", group: groupNetwork, arg: ServicesByHost + "|" + ServicesByKernel,
		usage: "who leads containers' connections to Services: this node (host), or kube-proxy on the machine (kernel)",
		def:   ServicesByHost,
		shown: ours(func(c Config) any { return c.Services }),
		apply: func(c *Config, g given) (err error) { c.Services, err = parseServices(g.text); return err },
	}}
}

// parseEgress returns a list of egress as one text.
func parseEgress(items []string) (string, error) {
	text := strings.Join(items, ",")
	if _, err := egress.Parse(text); err != nil {
		return "", fmt.Errorf("reading the list of egress: %w", err)
	}
	return text, nil
}

func parseServices(text string) (string, error) {
	if text != ServicesByHost && text != ServicesByKernel {
		return "", fmt.Errorf("%q is neither %s nor %s", text, ServicesByHost, ServicesByKernel)
	}
	return text, nil
}
