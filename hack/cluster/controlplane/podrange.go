package controlplane

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"syscall"
)

// The pods of a cluster have a range of the loopback network. Such a range is always local: it
// needs no route, and no data leaves the machine. Clusters that run at the same time have different
// ranges, all from 127.80.0.0 to 127.251.255.255.
const (
	podRangeBits  = 14
	podRangeFirst = 80
	podRangeStep  = 1 << (16 - podRangeBits)
	podRanges     = (252 - podRangeFirst) / podRangeStep
	// nodeMask divides the range into one block for each node: 256 nodes with 1022 pods each.
	nodeMask = 22
	// podRangePort is the port whose socket reserves a range. The socket is at the first address of
	// the range, the network's, which no pod has.
	podRangePort = 10250
)

// podRange is a range for pods, reserved for one cluster.
type podRange struct {
	netip.Prefix
	held net.Listener
}

// takePodRange takes a range that no other cluster has.
func takePodRange() (podRange, error) {
	start := rand.IntN(podRanges)
	for i := range podRanges {
		number := podRangeFirst + podRangeStep*((start+i)%podRanges)
		first := netip.AddrFrom4([4]byte{127, byte(number), 0, 0})
		held, err := net.Listen("tcp4", netip.AddrPortFrom(first, podRangePort).String())
		switch {
		case err == nil:
			return podRange{netip.PrefixFrom(first, podRangeBits), held}, nil
		case !errors.Is(err, syscall.EADDRINUSE):
			return podRange{}, fmt.Errorf("taking a range of addresses for pods: %w", err)
		}
	}
	return podRange{}, fmt.Errorf("other clusters have all %d ranges of addresses for pods", podRanges)
}

func (r podRange) close() { _ = r.held.Close() }
