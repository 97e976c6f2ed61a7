package config

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"time"

	"golang.org/x/term"
)

// resolveTimeout is the longest time for the lookup of the node's address at start.
const resolveTimeout = 5 * time.Second

// Machine is what Load needs of the computer on which it runs.
type Machine struct {
	Hostname   func() (string, error)
	Lookup     func(ctx context.Context, host string) ([]netip.Addr, error)
	Interfaces func() ([]netip.Addr, error)
	Terminal   bool // standard error is a terminal
}

func ThisMachine(stderr io.Writer) Machine {
	f, ok := stderr.(*os.File)
	return Machine{
		Hostname: os.Hostname,
		Lookup: func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		},
		Interfaces: interfaceAddrs,
		Terminal:   ok && term.IsTerminal(int(f.Fd())),
	}
}

func interfaceAddrs() ([]netip.Addr, error) {
	nets, err := net.InterfaceAddrs()
	if err != nil {
		return nil, err
	}
	var addrs []netip.Addr
	for _, n := range nets {
		if prefix, err := netip.ParsePrefix(n.String()); err == nil {
			addrs = append(addrs, prefix.Addr())
		}
	}
	return addrs, nil
}

// nodeIP chooses the node's address: the first usable address of the hostname. If there is none, it
// takes the first usable address of the interfaces, because on many machines the hostname resolves
// only to 127.0.1.1. The API server calls this address, so its family must be that of the address
// to listen on. "::" also allows IPv4.
func (m Machine) nodeIP(ctx context.Context, hostname string, listen netip.Addr) (netip.Addr, error) {
	usable := func(addrs []netip.Addr) (netip.Addr, bool) {
		ip, ok := firstUsable(addrs, listen.Is4())
		if !ok && listen == netip.IPv6Unspecified() {
			ip, ok = firstUsable(addrs, true)
		}
		return ip, ok
	}
	ctx, cancel := context.WithTimeout(ctx, resolveTimeout)
	defer cancel()
	resolved, lookupErr := m.Lookup(ctx, hostname)
	if ip, ok := usable(resolved); ok {
		return ip, nil
	}
	own, interfacesErr := m.Interfaces()
	if ip, ok := usable(own); ok {
		return ip, nil
	}
	err := fmt.Errorf("neither the hostname %q nor an interface has an address that goes with --addr=%s, loopback and link-local ones aside", hostname, listen)
	if cause := errors.Join(lookupErr, interfacesErr); cause != nil {
		err = fmt.Errorf("%w (%w)", err, cause)
	}
	return netip.Addr{}, err
}

func firstUsable(addrs []netip.Addr, ipv4 bool) (netip.Addr, bool) {
	for _, ip := range addrs {
		ip = ip.Unmap()
		if ip.IsGlobalUnicast() && ip.Is4() == ipv4 {
			return ip, true
		}
	}
	return netip.Addr{}, false
}
