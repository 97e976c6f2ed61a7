package podspec

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// Annotations that Krustlet had for the HTTP requests of its guests.
const (
	domainsAnnotation  = "alpha.wasi.krustlet.dev/allowed-domains"
	requestsAnnotation = "alpha.wasi.krustlet.dev/max-concurrent-requests"
	allowAll           = "insecure:allow-all"
)

const (
	mostDomains  = 1024
	mostRequests = 1 << 16
)

// KrustletHTTP is what Krustlet's annotations say of the HTTP requests of a pod's guests.
type KrustletHTTP struct {
	Given       bool   // there is a list of domains
	List        string // of egress: package runtime/egress has its form
	MaxRequests int    // that are under way; 0 without the annotation
}

// KrustletHTTPOf reads Krustlet's annotations. Of a URL only the host counts, as it did there: all
// schemes, ports and paths are allowed. The error says which annotation is wrong, and what it must
// be.
func KrustletHTTPOf(pod *corev1.Pod) (k KrustletHTTP, err error) {
	if text, ok := pod.Annotations[domainsAnnotation]; ok {
		if k.List, err = egressOfDomains(text); err != nil {
			return KrustletHTTP{}, fmt.Errorf("reading annotation %s: %w", domainsAnnotation, err)
		}
		k.Given = true
	}
	if text, ok := pod.Annotations[requestsAnnotation]; ok {
		n, err := strconv.ParseUint(text, 10, 32)
		if err != nil || n == 0 {
			return KrustletHTTP{}, fmt.Errorf("reading annotation %s: it must be a number of requests, at least 1", requestsAnnotation)
		}
		k.MaxRequests = int(min(n, mostRequests))
	}
	return k, nil
}

var errDomains = errors.New(`it must be an array of URLs in JSON, such as ["https://api.example.com"]`)

// egressOfDomains is the list of egress for an array of URLs.
func egressOfDomains(text string) (string, error) {
	var domains []string
	if err := json.Unmarshal([]byte(text), &domains); err != nil {
		return "", errDomains
	}
	if len(domains) > mostDomains {
		return "", fmt.Errorf("it must have at most %d URLs", mostDomains)
	}
	hosts := make([]string, 0, len(domains))
	for i, d := range domains {
		if d == allowAll {
			return "*", nil
		}
		host := hostOf(d)
		if !isHost(host) {
			return "", fmt.Errorf("URL %d: it must have the name or address of a host: %w", i+1, errDomains)
		}
		hosts = append(hosts, strings.ToLower(host))
	}
	return strings.Join(hosts, ","), nil
}

// hostOf is the host of a URL, or "" if it has none.
func hostOf(url string) string {
	_, rest, ok := strings.Cut(url, "://")
	if !ok {
		return ""
	}
	if end := strings.IndexAny(rest, "/?#\\"); end >= 0 {
		rest = rest[:end]
	}
	rest = rest[strings.LastIndexByte(rest, '@')+1:]
	if inside, ok := strings.CutPrefix(rest, "["); ok {
		host, _, _ := strings.Cut(inside, "]")
		return host
	}
	host, _, _ := strings.Cut(rest, ":")
	return host
}

// isHost reports whether a host is a name or an address, and no other word of a list of egress:
// Krustlet knew no wildcards, and no word for the cluster.
func isHost(host string) bool {
	if a, err := netip.ParseAddr(host); err == nil {
		return a.Zone() == ""
	}
	if host == "" || strings.EqualFold(strings.TrimSuffix(host, "."), "cluster") {
		return false
	}
	return strings.IndexFunc(host, func(c rune) bool {
		letter := c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9'
		return c < 0x80 && !letter && c != '-' && c != '.' && c != '_' || c >= 0x80 && c <= 0xa0
	}) < 0
}
