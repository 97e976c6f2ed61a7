package podfiles

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/krustlet-go/krustlet-wasi/podsync/events"
)

// DNS has the settings with which pods resolve names.
type DNS struct {
	// Servers are the cluster's name servers. If there are none, pods that want them get the node's
	// name servers.
	Servers    []netip.Addr
	Domain     string // the domain of the cluster's services, or empty
	ResolvConf string // the node's own resolv.conf, an absolute path; empty if the node has none
}

// Bounds of a resolv.conf, as in the API server and the kubelet.
const (
	maxNameservers = 3
	maxSearches    = 32
	maxSearchChars = 2048
)

// resolver is the content of a resolv.conf.
type resolver struct {
	nameservers, searches, options []string
}

// resolvConf is a pod's /etc/resolv.conf, with warnings for events.
func (dns DNS) resolvConf(pod *corev1.Pod) (text string, warnings []events.Event, err error) {
	r, missing, err := dns.resolver(pod)
	if err != nil {
		return "", nil, err
	}
	if missing {
		warnings = append(warnings, events.MissingClusterDNS(pod))
	}
	if c := pod.Spec.DNSConfig; c != nil {
		r.add(c)
	}
	warnings = append(warnings, r.trim()...)
	return r.String(), warnings, nil
}

// resolver is what the pod's policy asks for. If missing is true, the pod wants the cluster's name
// servers, and the node does not know them.
func (dns DNS) resolver(pod *corev1.Pod) (r resolver, missing bool, err error) {
	policy := pod.Spec.DNSPolicy
	if policy == corev1.DNSNone {
		return resolver{}, false, nil
	}
	if dns.ResolvConf != "" {
		text, err := os.ReadFile(dns.ResolvConf)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return resolver{}, false, fmt.Errorf("reading the node's resolv.conf: %w", err)
		}
		r = parseResolvConf(string(text))
	}
	if policy == corev1.DNSDefault || policy == corev1.DNSClusterFirst && pod.Spec.HostNetwork {
		return dns.orLocal(r), false, nil
	}
	if len(dns.Servers) == 0 {
		return dns.orLocal(r), true, nil
	}
	cluster := resolver{options: []string{"ndots:5"}}
	for _, server := range dns.Servers {
		cluster.nameservers = append(cluster.nameservers, server.String())
	}
	if dns.Domain != "" {
		services := "svc." + dns.Domain
		cluster.searches = []string{pod.Namespace + "." + services, services, dns.Domain}
	}
	cluster.searches = union(cluster.searches, r.searches)
	return cluster, false, nil
}

// orLocal returns r. If the settings give the node no resolv.conf, it returns a resolver with a
// server on the pod's own machine.
func (dns DNS) orLocal(r resolver) resolver {
	if dns.ResolvConf == "" {
		return resolver{nameservers: []string{"127.0.0.1"}, searches: []string{"."}}
	}
	return r
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
		case "search", "domain": // only the last of these lines counts
			r.searches = nil
			for _, domain := range fields[1:] {
				if domain != "." {
					r.searches = append(r.searches, strings.TrimSuffix(domain, "."))
				}
			}
		case "options":
			for _, option := range fields[1:] {
				r.setOption(option)
			}
		}
	}
	return r
}

// add adds what the pod asks for: servers, domains and options. The pod's options replace earlier
// ones.
func (r *resolver) add(c *corev1.PodDNSConfig) {
	r.nameservers = union(r.nameservers, c.Nameservers)
	r.searches = union(r.searches, c.Searches)
	for _, o := range c.Options {
		option := o.Name
		if o.Value != nil && *o.Value != "" {
			option += ":" + *o.Value
		}
		r.setOption(option)
	}
}

// setOption sets an option NAME or NAME:VALUE. It replaces an earlier option with the same name.
func (r *resolver) setOption(option string) {
	name := func(option string) string { name, _, _ := strings.Cut(option, ":"); return name }
	r.options = slices.DeleteFunc(r.options, func(old string) bool { return name(old) == name(option) })
	r.options = append(r.options, option)
}

// trim removes what exceeds the bounds of a resolv.conf, and returns warnings.
func (r *resolver) trim() []events.Event {
	var warnings []events.Event
	if len(r.nameservers) > maxNameservers {
		r.nameservers = r.nameservers[:maxNameservers]
		warnings = append(warnings, events.DNSConfig("Nameserver limits were exceeded, some nameservers have been omitted, the applied nameserver line is: "+
			strings.Join(r.nameservers, " ")))
	}
	asked := len(r.searches)
	r.searches = slices.Clone(r.searches[:min(asked, maxSearches)])
	r.searches = slices.DeleteFunc(r.searches, func(domain string) bool { return len(domain) > validation.DNS1123SubdomainMaxLength })
	for len(strings.Join(r.searches, " ")) > maxSearchChars {
		r.searches = r.searches[:len(r.searches)-1]
	}
	if len(r.searches) < asked {
		warnings = append(warnings, events.DNSConfig("Search Line limits were exceeded, some search paths have been omitted, the applied search line is: "+
			strings.Join(r.searches, " ")))
	}
	return warnings
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

func (r *resolver) String() string {
	var out strings.Builder
	if len(r.searches) > 0 {
		out.WriteString("search " + strings.Join(r.searches, " ") + "\n")
	}
	for _, server := range r.nameservers {
		out.WriteString("nameserver " + server + "\n")
	}
	if len(r.options) > 0 {
		out.WriteString("options " + strings.Join(r.options, " ") + "\n")
	}
	return out.String()
}
