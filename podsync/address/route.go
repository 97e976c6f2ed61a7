package address

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// MakeLocal makes the kernel treat every address of a range as one of this machine. If the range is
// local already, it does nothing and needs no privilege. Otherwise it needs CAP_NET_ADMIN. Without
// that the error is fs.ErrPermission.
func MakeLocal(r netip.Prefix) error {
	r = r.Masked()
	if IsLocal(r.Addr()) {
		return nil
	}
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("looking for the loopback interface: %w", err)
	}
	err = netlink.RouteReplace(&netlink.Route{
		Dst:       &net.IPNet{IP: r.Addr().AsSlice(), Mask: net.CIDRMask(r.Bits(), r.Addr().BitLen())},
		LinkIndex: lo.Attrs().Index,
		Type:      unix.RTN_LOCAL,
		Table:     unix.RT_TABLE_LOCAL,
		Scope:     netlink.SCOPE_HOST,
	})
	if errors.Is(err, unix.EPERM) {
		err = fs.ErrPermission
	}
	if err != nil {
		return fmt.Errorf("adding the route `local %s dev lo`: %w", r, err)
	}
	return nil
}

// IsLocal reports whether an address belongs to this machine, as the kernel says.
func IsLocal(a netip.Addr) bool {
	routes, err := netlink.RouteGet(a.AsSlice())
	return err == nil && len(routes) > 0 && routes[0].Type == unix.RTN_LOCAL
}
