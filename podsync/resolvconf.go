package podsync

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// Bounds of a resolv.conf, which API server and kubelet have.
const (
	maxNameservers = 3
	maxSearches    = 32
)

// resolver is what a resolv.conf says.
type resolver struct {
	nameservers, searches, options []string
}

// resolvConf is a pod's /etc/resolv.conf. node is the node's own. The node does not know the cluster's name server, so a
// pod that wants it has the node's, and is told so.
func resolvConf(pod *corev1.Pod, node string) string {
	var r resolver
	note := ""
	switch policy := pod.Spec.DNSPolicy; {
	case policy == corev1.DNSNone:
	case policy == corev1.DNSDefault, policy == corev1.DNSClusterFirst && pod.Spec.HostNetwork:
		r = parseResolvConf(node)
	default:
		r = parseResolvConf(node)
		note = "# The node does not know the cluster's name server. This is as with dnsPolicy: Default.\n"
	}
	if c := pod.Spec.DNSConfig; c != nil {
		r.add(c)
	}
	return note + r.String()
}

func parseResolvConf(text string) resolver {
	var r resolver
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		switch fields[0] {
		case "nameserver":
			r.nameservers = append(r.nameservers, fields[1])
		case "search", "domain": // the last one counts
			r.searches = fields[1:]
		case "options":
			r.options = append(r.options, fields[1:]...)
		}
	}
	return r
}

// add takes in what the pod asks for: more servers and domains, and options of which the pod's count.
func (r *resolver) add(c *corev1.PodDNSConfig) {
	r.nameservers = union(r.nameservers, c.Nameservers)
	r.searches = union(r.searches, c.Searches)
	for _, o := range c.Options {
		option := o.Name
		if o.Value != nil && *o.Value != "" {
			option += ":" + *o.Value
		}
		r.options = slices.DeleteFunc(r.options, func(old string) bool {
			name, _, _ := strings.Cut(old, ":")
			return name == o.Name
		})
		r.options = append(r.options, option)
	}
}

func union(a, b []string) []string {
	var all []string
	for _, s := range append(slices.Clone(a), b...) {
		if !slices.Contains(all, s) {
			all = append(all, s)
		}
	}
	return all
}

func (r resolver) String() string {
	var out strings.Builder
	if n := min(len(r.searches), maxSearches); n > 0 {
		out.WriteString("search " + strings.Join(r.searches[:n], " ") + "\n")
	}
	for _, server := range r.nameservers[:min(len(r.nameservers), maxNameservers)] {
		out.WriteString("nameserver " + server + "\n")
	}
	if len(r.options) > 0 {
		out.WriteString("options " + strings.Join(r.options, " ") + "\n")
	}
	return out.String()
}
