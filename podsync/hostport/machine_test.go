package hostport

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"go.uber.org/zap"
)

// inside, in the environment, has this test binary do its work in a network of its own.
const inside = "KRUSTLET_TEST_INSIDE"

func TestMain(m *testing.M) {
	if os.Getenv(inside) == "" {
		os.Exit(m.Run())
	}
	if err := newAddress(); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

// TestNewAddress: all addresses of the machine are listened at, of both kinds, and those that it gets; in a network namespace that nothing else has.
func TestNewAddress(t *testing.T) {
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	if id := os.Getuid(); id != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: id, Size: 1}}
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

func newAddress() error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	if err := netlink.LinkSetUp(lo); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	n := New(netip.MustParseAddr("127.5.5.5"), zap.NewNop())
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	running.Go(func() { n.Run(ctx) })
	to := []netip.AddrPort{netip.MustParseAddrPort("127.6.6.6:80")}
	if err := n.Open("u", []Port{{Number: 80, To: to}}); err != nil {
		return err
	}
	if err := n.Open("six", []Port{{Address: netip.IPv6Unspecified(), Number: 81, To: to}}); err != nil {
		return err
	}
	awaits := func(pod string, want ...string) error {
		slices.Sort(want)
		for began := time.Now(); ; time.Sleep(time.Millisecond) {
			got := n.listening(pod)
			if slices.Equal(got, want) {
				return nil
			}
			if time.Since(began) > 20*time.Second {
				return fmt.Errorf("open are %v, want %v", got, want)
			}
		}
	}
	if err := awaits("u", "127.0.0.1", "127.5.5.5", "::1"); err != nil {
		return err
	}
	for _, cidr := range []string{"10.9.8.7/24", "fd00:9::7/64"} {
		address, err := netlink.ParseAddr(cidr)
		if err != nil {
			return err
		}
		if err := netlink.AddrAdd(lo, address); err != nil {
			return err
		}
	}
	return errors.Join(awaits("u", "127.0.0.1", "127.5.5.5", "::1", "10.9.8.7", "fd00:9::7"), awaits("six", "::1", "fd00:9::7"))
}
