package wasmtime

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/krustlet-go/krustlet-wasi/podsync/address"
	"github.com/krustlet-go/krustlet-wasi/runtime"
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
	ofPod := runtime.Origin{Pod: "uid"}
	for at, pods := range map[string]string{"10.9.8.7:80": "10.9.8.0/24", "[fd00:9::7]:80": "fd00:9::/64"} {
		if err := address.MakeLocal(netip.MustParsePrefix(pods)); err != nil {
			t.Fatal(err)
		}
		open, err := listen(runtime.Spec{Of: ofPod, Listen: []string{at}})
		if err != nil {
			t.Fatal(err)
		}
		conn, err := net.Dial("tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := listen(runtime.Spec{Of: ofPod, Listen: []string{at}}); !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("%s twice: %v", at, err)
		}
		if err := errors.Join(conn.Close(), closeListeners(open)); err != nil {
			t.Error(err)
		}
	}
	if _, err := listen(runtime.Spec{Listen: []string{"[fd00:8::7]:80"}}); !errors.Is(err, syscall.EADDRNOTAVAIL) {
		t.Errorf("an address that is not the machine's, and no pod's: %v", err)
	}
}

// TestListenFree: of the addresses that a guest may want it gets those that nobody has, behind those that it is to have.
func TestListenFree(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	open, err := listen(runtime.Spec{Listen: []string{"127.0.0.2:0"}, ListenFree: []string{taken.Addr().String(), "127.0.0.3:0"}})
	if err != nil {
		t.Fatal(err)
	}
	var hosts []string
	for _, l := range open {
		host, _, _ := net.SplitHostPort(l.Addr().String())
		hosts = append(hosts, host)
	}
	if !slices.Equal(hosts, []string{"127.0.0.2", "127.0.0.3"}) {
		t.Errorf("listens on %v", hosts)
	}
	if err := closeListeners(open); err != nil {
		t.Error(err)
	}
}
