package hostport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/krustlet-go/krustlet-wasi/runtime/pause"
)

// interfaceAddresses are the addresses of the machine's interfaces, and the address besides. It
// leaves out addresses that are valid only together with the name of an interface.
func interfaceAddresses(besides netip.Addr) ([]netip.Addr, error) {
	networks, err := net.InterfaceAddrs()
	if err != nil {
		return nil, err
	}
	all := []netip.Addr{besides}
	for _, network := range networks {
		ip, ok := network.(*net.IPNet)
		if !ok {
			continue
		}
		a, ok := netip.AddrFromSlice(ip.IP)
		if a = a.Unmap(); ok && !a.IsLinkLocalUnicast() && !slices.Contains(all, a) {
			all = append(all, a)
		}
	}
	return all, nil
}

// followAgain is the delay before the next try, if the kernel could not be asked about changes of
// addresses.
const followAgain = 10 * time.Second

// follow calls refresh whenever an interface gets or loses an address, until ctx ends.
func (n *Node) follow(ctx context.Context) {
	for ctx.Err() == nil {
		err := watchAddresses(ctx, n.refresh)
		if ctx.Err() != nil {
			return
		}
		n.log.Warn("cannot follow the machine's addresses, will try again", zap.Error(err))
		_ = pause.For(ctx, followAgain) // the loop ends with ctx
	}
}

// watchAddresses calls changed once when the kernel begins to report changes, and then for each
// change.
func watchAddresses(ctx context.Context, changed func()) error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	socket := os.NewFile(uintptr(fd), "netlink")
	defer context.AfterFunc(ctx, func() { _ = socket.Close() })()
	defer func() { _ = socket.Close() }()
	err = unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: unix.RTMGRP_IPV4_IFADDR | unix.RTMGRP_IPV6_IFADDR})
	if err != nil {
		return os.NewSyscallError("bind", err)
	}
	message := make([]byte, 1) // the content does not matter, and the kernel drops the rest
	for {
		changed()
		// ENOBUFS: some messages were lost.
		if _, err := socket.Read(message); err != nil && !errors.Is(err, unix.ENOBUFS) {
			return fmt.Errorf("reading what the kernel tells of addresses: %w", err)
		}
	}
}
