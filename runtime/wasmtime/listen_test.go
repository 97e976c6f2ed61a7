package wasmtime

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/krustlet-go/krustlet-wasi/podsync/address"
)

// elsewhere, in the environment, says that this test runs in a network of its own.
const elsewhere = "KRUSTLET_TEST_ELSEWHERE"

// TestListenOnAPodsAddress: a pod's address is the machine's by a route alone, and can be listened on and reached.
func TestListenOnAPodsAddress(t *testing.T) {
	if os.Getenv(elsewhere) == "" {
		cmd := exec.Command("/proc/self/exe", "-test.run", "^TestListenOnAPodsAddress$")
		cmd.Env = append(os.Environ(), elsewhere+"=yes")
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
		if id := os.Getuid(); id != 0 {
			cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
			cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: id, Size: 1}}
		}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
		return
	}
	lo, err := netlink.LinkByName("lo")
	if err == nil {
		err = netlink.LinkSetUp(lo)
	}
	if err != nil {
		t.Fatal(err)
	}
	for at, pods := range map[string]string{"10.9.8.7:80": "10.9.8.0/24", "[fd00:9::7]:80": "fd00:9::/64"} {
		if err := address.MakeLocal(netip.MustParsePrefix(pods)); err != nil {
			t.Fatal(err)
		}
		open, err := listen([]string{at}, true)
		if err != nil {
			t.Fatal(err)
		}
		conn, err := net.Dial("tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := listen([]string{at}, true); !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("%s twice: %v", at, err)
		}
		if err := errors.Join(conn.Close(), closeListeners(open)); err != nil {
			t.Error(err)
		}
	}
	if _, err := listen([]string{"[fd00:8::7]:80"}, false); !errors.Is(err, syscall.EADDRNOTAVAIL) {
		t.Errorf("an address that is not the machine's, and no pod's: %v", err)
	}
}
