package main

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/krustlet-go/krustlet-wasi/hack/background"
)

// inside is an environment variable. It is set in the process that has a network of its own.
const inside = "NODECONFORMANCE_OWN_NETWORK"

// The API server takes no loopback addresses as endpoints of Services. So pods and the name server
// have others, which only the separate network has.
const (
	podCIDR    = "198.18.77.0/24"
	nameServer = "198.18.79.53"
	clusterDNS = "10.96.0.10"
)

// inOwnNetwork runs this program again in a network of its own, and returns its exit code.
func inOwnNetwork(ctx context.Context, args []string, stdout, stderr io.Writer) (int, error) {
	cmd := exec.CommandContext(ctx, "/proc/self/exe", args...)
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.Stdout, cmd.Stderr = stdout, stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Setpgid: true}
	if id := os.Getuid(); id != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: id, Size: 1}}
	}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Minute
	err := cmd.Run()
	if cmd.ProcessState == nil {
		return 1, fmt.Errorf("starting in a network of its own: %w", err)
	}
	return cmd.ProcessState.ExitCode(), nil
}

// furnish makes the loopback device of the own network usable, with the name server's address.
func furnish() error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("finding the loopback device: %w", err)
	}
	if err := netlink.LinkSetUp(lo); err != nil {
		return fmt.Errorf("starting the loopback device: %w", err)
	}
	address, err := netlink.ParseAddr(netip.PrefixFrom(netip.MustParseAddr(nameServer), 32).String())
	if err != nil {
		return fmt.Errorf("reading the name server's address: %w", err)
	}
	if err := netlink.AddrAdd(lo, address); err != nil {
		return fmt.Errorf("adding the name server's address: %w", err)
	}
	return nil
}

// corefile is for an address and a kubeconfig.
const corefile = `.:53 {
	bind %s
	errors
	kubernetes cluster.local in-addr.arpa {
		kubeconfig %s
		pods insecure
		ttl 1
	}
}
`

// dnsObjects are the cluster's name server as a Service, and the Node with its range of addresses.
const dnsObjects = `
apiVersion: v1
kind: Service
metadata: {name: kube-dns, namespace: kube-system}
spec:
  clusterIP: %[1]s
  ports: [{name: dns, protocol: UDP, port: 53}, {name: dns-tcp, protocol: TCP, port: 53}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: kube-dns, namespace: kube-system, labels: {kubernetes.io/service-name: kube-dns}}
addressType: IPv4
ports: [{name: dns, protocol: UDP, port: 53}, {name: dns-tcp, protocol: TCP, port: 53}]
endpoints: [{addresses: [%[2]s]}]
---
apiVersion: v1
kind: Node
metadata: {name: %[3]s}
spec: {podCIDR: %[4]s, podCIDRs: [%[4]s]}
`

// startNames gives the node its rights and its range of addresses, and the cluster a name server.
func (s *site) startNames(ctx context.Context) error {
	objects, config := filepath.Join(s.dir, "network.yaml"), filepath.Join(s.dir, "Corefile")
	text := fmt.Sprintf(dnsObjects, clusterDNS, nameServer, nodeName, podCIDR)
	if err := os.WriteFile(objects, []byte(text), 0o600); err != nil {
		return err
	}
	if err := s.command(ctx, nil, "bin/cluster", "kubectl", "apply", "-f", "hack/rbac/network.yaml", "-f", objects); err != nil {
		return err
	}
	if err := os.WriteFile(config, fmt.Appendf(nil, corefile, nameServer, s.kubeconfig()), 0o600); err != nil {
		return err
	}
	var err error
	s.names, err = background.Start(nil, "bin/coredns", "-conf", config)
	return err
}
