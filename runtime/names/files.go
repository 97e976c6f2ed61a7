package names

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// What resolv.conf has by default, and at most, according to resolv.conf(5). The number of search
// domains is what Kubernetes allows.
const (
	port            = 53
	defaultNdots    = 1
	maxNdots        = 15
	defaultTimeout  = 5 * time.Second
	maxTimeout      = 30 * time.Second
	defaultAttempts = 2
	maxAttempts     = 5
	maxServers      = 3
	maxSearch       = 32
)

// maxHosts bounds the lines of a hosts file that count. Lists of millions of lines exist, which
// block advertisements.
const maxHosts = 4096

// ParseResolvConf returns what a resolv.conf says. As resolvers do, it passes over what it does not
// understand. Of options it knows ndots, timeout, attempts, rotate and use-vc. A file without
// servers has none: what that means is the caller's matter.
func ParseResolvConf(text string) runtime.Names {
	names := runtime.Names{Ndots: defaultNdots}
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue // a comment, too, but for its text: no keyword begins with its mark
		}
		switch fields[0] {
		case "nameserver":
			if server, err := netip.ParseAddr(fields[1]); err == nil && len(names.Servers) < maxServers {
				names.Servers = append(names.Servers, netip.AddrPortFrom(server, port))
			}
		case "search", "domain": // only the last of these lines counts
			names.Search = fields[1:min(len(fields), 1+maxSearch)]
		case "options":
			for _, option := range fields[1:] {
				setOption(&names, option)
			}
		}
	}
	return names
}

func setOption(names *runtime.Names, option string) {
	name, value, _ := strings.Cut(option, ":")
	n, err := strconv.Atoi(value)
	number := err == nil && n >= 0
	switch {
	case name == "ndots" && number:
		names.Ndots = min(n, maxNdots)
	case name == "timeout" && number && n > 0:
		names.Timeout = min(time.Duration(n)*time.Second, maxTimeout)
	case name == "attempts" && number && n > 0:
		names.Attempts = min(n, maxAttempts)
	case option == "rotate":
		names.Rotate = true
	case option == "use-vc":
		names.TCP = true
	}
}

// ParseHosts returns the lines of a hosts file that have an address and names, 4096 at most.
func ParseHosts(text string) []runtime.Host {
	var hosts []runtime.Host
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		if address, err := netip.ParseAddr(fields[0]); err == nil {
			hosts = append(hosts, runtime.Host{Address: address, Names: fields[1:]})
		}
		if len(hosts) == maxHosts {
			break
		}
	}
	return hosts
}

// OfMachine returns how the machine looks up names: its /etc/resolv.conf and /etc/hosts. Without
// servers there, one of the machine's own is asked, as the C library does.
func OfMachine() (runtime.Names, error) {
	host, _ := os.Hostname() // without it, there is no domain to search
	return ofFiles("/etc/resolv.conf", "/etc/hosts", host)
}

func ofFiles(resolvConf, hosts, host string) (runtime.Names, error) {
	text, err := readFile(resolvConf)
	if err != nil {
		return runtime.Names{}, fmt.Errorf("reading how the machine looks up names: %w", err)
	}
	names := ParseResolvConf(text)
	if len(names.Servers) == 0 {
		names.Servers = []netip.AddrPort{netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), port)}
	}
	if _, domain, ok := strings.Cut(host, "."); ok && len(names.Search) == 0 {
		names.Search = []string{domain}
	}
	if text, err = readFile(hosts); err != nil {
		return runtime.Names{}, fmt.Errorf("reading how the machine looks up names: %w", err)
	}
	names.Hosts = ParseHosts(text)
	return names, nil
}

// readFile returns the content of a file, which is empty if there is none.
func readFile(path string) (string, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return string(text), err
}
