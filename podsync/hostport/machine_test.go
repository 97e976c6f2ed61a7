package hostport

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"

	"github.com/vishvananda/netlink"
	"go.uber.org/zap"

	"github.com/krustlet-go/krustlet-wasi/hack/eventually"
	"github.com/krustlet-go/krustlet-wasi/hack/ownnetwork"
)

// TestNewAddress: the node listens at all addresses of the machine, of both families. This includes
// addresses that the machine gets later. The test has its own network namespace.
func TestNewAddress(t *testing.T) {
	if !ownnetwork.Enter(t) {
		return
	}
	ctx, cancel := context.WithCancel(t.Context())
	n := New(netip.MustParseAddr("127.5.5.5"), 80, nil, zap.NewNop())
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	running.Go(func() { n.Run(ctx) })
	to := []netip.AddrPort{netip.MustParseAddrPort("127.6.6.6:80")}
	if err := n.Open("u", []Port{{Number: 80, To: to}}); err != nil {
		t.Fatal(err)
	}
	if err := n.Open("six", []Port{{Address: netip.IPv6Unspecified(), Number: 81, To: to}}); err != nil {
		t.Fatal(err)
	}
	awaits := func(pod string, want ...string) {
		slices.Sort(want)
		eventually.Succeeds(t, func() error {
			if got := n.listening(pod); !slices.Equal(got, want) {
				return fmt.Errorf("open are %v, want %v", got, want)
			}
			return nil
		})
	}
	awaits("u", "127.0.0.1", "127.5.5.5", "::1")
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		t.Fatal(err)
	}
	for _, cidr := range []string{"10.9.8.7/24", "fd00:9::7/64"} {
		address, err := netlink.ParseAddr(cidr)
		if err == nil {
			err = netlink.AddrAdd(lo, address)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	awaits("u", "127.0.0.1", "127.5.5.5", "::1", "10.9.8.7", "fd00:9::7")
	awaits("six", "::1", "fd00:9::7")
}
