package address

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink"
	"kernel.org/pub/linux/libs/security/libcap/cap"
)

// inside, in the environment, names what this test binary is to do in a network of its own.
const inside = "KRUSTLET_TEST_INSIDE"

func TestMain(m *testing.M) {
	do, is := map[string]func() error{"privileged": privileged, "unprivileged": unprivileged}[os.Getenv(inside)]
	if !is {
		os.Exit(m.Run())
	}
	if err := do(); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

// elsewhere runs this binary in a network namespace that nothing else has.
func elsewhere(t *testing.T, what string) {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), inside+"="+what)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	if id := os.Getuid(); id != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: id, Size: 1}}
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

func TestMakeLocalInANetworkOfItsOwn(t *testing.T) { elsewhere(t, "privileged") }

func privileged() error {
	if err := loopbackUp(); err != nil {
		return err
	}
	for _, each := range []struct{ cidr, pod string }{{"10.9.8.0/24", "10.9.8.7"}, {"fd00:9::/64", "fd00:9::7"}} {
		r, pod := netip.MustParsePrefix(each.cidr), netip.MustParseAddr(each.pod)
		if IsLocal(pod) {
			return fmt.Errorf("%s is local already", pod)
		}
		for range 2 { // a second agent finds the route
			if err := MakeLocal(r); err != nil {
				return err
			}
		}
		if !IsLocal(pod) {
			return fmt.Errorf("%s is not local", pod)
		}
	}
	l, err := net.Listen("tcp", "10.9.8.7:80")
	if err != nil {
		return err
	}
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		return err
	}
	return c.Close()
}

func TestMakeLocalWithoutPrivilege(t *testing.T) { elsewhere(t, "unprivileged") }

func unprivileged() error {
	if err := loopbackUp(); err != nil {
		return err
	}
	if err := MakeLocal(netip.MustParsePrefix("10.9.7.0/24")); err != nil {
		return err
	}
	if err := cap.NewSet().SetProc(); err != nil {
		return err
	}
	err := MakeLocal(netip.MustParsePrefix("10.9.8.0/24"))
	if !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "`local 10.9.8.0/24 dev lo`") {
		return fmt.Errorf("without a capability: %w", err)
	}
	// What somebody else has made local can be used, and so can the loopback network.
	for _, cidr := range []string{"10.9.7.0/24", "127.200.0.0/16"} {
		if err := MakeLocal(netip.MustParsePrefix(cidr)); err != nil {
			return err
		}
	}
	return nil
}

func loopbackUp() error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	return netlink.LinkSetUp(lo)
}
