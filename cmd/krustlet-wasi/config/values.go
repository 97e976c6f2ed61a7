package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/krustlet-go/krustlet-wasi/podsync/address"
)

// In messages, the errors of this file come after the source of the value. They say what is wrong
// and what to write instead.

func checkNodeName(name string) error {
	if len(validation.IsDNS1123Subdomain(name)) == 0 {
		return nil
	}
	return fmt.Errorf("%q cannot be a node name: use lower-case letters, digits, '-' and '.', with a letter or digit at both ends of each part, at most 253 characters", name)
}

// checkHostname allows upper case, because some hosts have it in their names.
func checkHostname(name string) error {
	// The hostname is the value of the label kubernetes.io/hostname.
	if len(validation.IsDNS1123Subdomain(strings.ToLower(name))) == 0 && len(name) <= validation.LabelValueMaxLength {
		return nil
	}
	return fmt.Errorf("%q cannot be a hostname: use letters, digits, '-' and '.', with a letter or digit at both ends of each part, at most %d characters", name, validation.LabelValueMaxLength)
}

func parseIP(value string) (netip.Addr, error) {
	ip, err := netip.ParseAddr(value)
	if err != nil || ip.Zone() != "" {
		return netip.Addr{}, fmt.Errorf("%q is not an IP address: write one such as 192.0.2.7 or 2001:db8::7", value)
	}
	return ip.Unmap(), nil
}

func parseListenIP(value string) (netip.Addr, error) {
	ip, err := parseIP(value)
	if err == nil && ip.IsMulticast() {
		return netip.Addr{}, fmt.Errorf("%q is a multicast address: write one of this host's, or 0.0.0.0 for all", value)
	}
	return ip, err
}

func parseNodeIP(value string) (netip.Addr, error) {
	ip, err := parseIP(value)
	if err == nil && (ip.IsUnspecified() || ip.IsMulticast()) {
		return netip.Addr{}, fmt.Errorf("%q cannot be a node's address: write the one at which the API server reaches this host", value)
	}
	return ip, err
}

// parseNumber reads a port or a count. Krustlet uses 16 bits for both.
func parseNumber(value, what string) (int, error) {
	n, err := strconv.ParseUint(value, 10, 16)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("%q is not %s: write a whole number from 1 to 65535", value, what)
	}
	return int(n), nil
}

// maxWorkers is far more than a machine needs. One worker serves thousands of containers.
const maxWorkers = 64

func parseWorkers(value string) (int, error) {
	n, err := strconv.ParseUint(value, 10, 16)
	if err != nil || n == 0 || n > maxWorkers {
		return 0, fmt.Errorf("%q is not a number of workers: write a whole number from 1 to %d", value, maxWorkers)
	}
	return int(n), nil
}

func parseLogFiles(value string) (int, error) {
	n, err := parseNumber(value, "a number of files")
	if err == nil && n < 2 {
		return 0, fmt.Errorf("%q is too few files: write 2 or more, so that what was printed before a rotation can still be read", value)
	}
	return n, err
}

func parseIdleTimeout(value string) (time.Duration, error) {
	d, err := time.ParseDuration(value)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("%q is not a duration of 0 or more, such as 30m or 4h", value)
	}
	return d, nil
}

// ParseBool reads true or false.
func ParseBool(value string) (bool, error) {
	b, err := strconv.ParseBool(value)
	if err != nil {
		return false, fmt.Errorf("%q is neither true nor false", value)
	}
	return b, nil
}

// ParseRegistries checks that each entry is the host part of an image reference.
func ParseRegistries(items []string) ([]string, error) {
	var errs []error
	for _, item := range items {
		u, err := url.Parse("//" + item)
		if err != nil || u.Host != item || u.Hostname() == "" || strings.ContainsAny(item, `@\,`) || strings.HasSuffix(item, ":") {
			errs = append(errs, fmt.Errorf("%q is not a registry: write its host or host:port, without http:// and without a path", item))
		}
	}
	return items, errors.Join(errs...)
}

func parseNameservers(items []string) ([]netip.Addr, error) {
	var servers []netip.Addr
	var errs []error
	for _, item := range items {
		ip, err := parseIP(item)
		if err == nil && ip.IsUnspecified() {
			err = fmt.Errorf("%q cannot be a name server: write the address at which pods reach it", item)
		}
		servers, errs = append(servers, ip), append(errs, err)
	}
	return servers, errors.Join(errs...)
}

func parseDomain(value string) (string, error) {
	domain := strings.TrimSuffix(value, ".")
	if domain != "" && len(validation.IsDNS1123Subdomain(domain)) > 0 {
		return "", fmt.Errorf("%q is not a domain: write one such as cluster.local", value)
	}
	return domain, nil
}

// noPodCIDR is the value for pods with the node's address.
const noPodCIDR = "none"

// parsePodCIDRs reads ranges of addresses for pods, or noPodCIDR.
func parsePodCIDRs(items []string) (ranges []netip.Prefix, none bool, err error) {
	if slices.Equal(items, []string{noPodCIDR}) {
		return nil, true, nil
	}
	ranges, err = address.ParseRanges(items)
	return ranges, false, err
}

// ParseBytes reads a number of bytes. of and example are words for its error.
func ParseBytes(value, of, example string) (int64, error) {
	q, err := resource.ParseQuantity(value)
	if err != nil || q.Sign() <= 0 {
		return 0, fmt.Errorf("%q is no amount of %s: write bytes, with Ki, Mi or Gi behind them if you like, such as %s", value, of, example)
	}
	return q.Value(), nil
}

// ParseDuration reads a duration of 0 or more.
func ParseDuration(value string) (time.Duration, error) {
	d, err := time.ParseDuration(value)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("%q is no duration: write a number with its unit, such as 500ms, 30s or 1m30s", value)
	}
	return d, nil
}

// AllTraces is the sampling rate at which all traces are sent, per million.
const AllTraces = 1_000_000

func parseEndpoint(value string) (string, error) {
	host, port, err := net.SplitHostPort(value)
	if err == nil && host == "" {
		err = errors.New("no host")
	}
	if err == nil {
		_, err = parseNumber(port, "a port")
	}
	if err != nil {
		return "", fmt.Errorf("%q is not the address of a collector: write its host:port, as in localhost:4317, without http://", value)
	}
	return value, nil
}

func parseSamplingRate(value string) (int, error) {
	n, err := strconv.ParseUint(value, 10, 32)
	if err != nil || n > AllTraces {
		return 0, fmt.Errorf("%q is not a number of traces: write how many of a million to send, from 0 to %d", value, AllTraces)
	}
	return int(n), nil
}
