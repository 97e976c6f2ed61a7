package listen

import (
	"errors"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/hack/ownnetwork"
	"github.com/krustlet-go/krustlet-wasi/podsync/address"
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// TestListenOnAPodsAddress: a pod's address belongs to the machine only because of a route. A guest
// can listen on it and accept connections.
func TestListenOnAPodsAddress(t *testing.T) {
	if !ownnetwork.Enter(t) {
		return
	}
	ofPod := runtime.Origin{Pod: "uid"}
	for at, pods := range map[string]string{"10.9.8.7:80": "10.9.8.0/24", "[fd00:9::7]:80": "fd00:9::/64"} {
		if err := address.MakeLocal(netip.MustParsePrefix(pods)); err != nil {
			t.Fatal(err)
		}
		open, err := Open(runtime.Spec{Of: ofPod, Command: runtime.Command{Listen: []string{at}}})
		if err != nil {
			t.Fatal(err)
		}
		conn, err := net.Dial("tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Open(runtime.Spec{Of: ofPod, Command: runtime.Command{Listen: []string{at}}}); !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("%s twice: %v", at, err)
		}
		if err := errors.Join(conn.Close(), Close(open)); err != nil {
			t.Error(err)
		}
	}
	if _, err := Open(runtime.Spec{Command: runtime.Command{Listen: []string{"[fd00:8::7]:80"}}}); !errors.Is(err, syscall.EADDRNOTAVAIL) {
		t.Errorf("an address that is not the machine's, and no pod's: %v", err)
	}
}

// TestListenFree: a guest gets the addresses of ListenFree that are free, after those of Listen.
func TestListenFree(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	open, err := Open(runtime.Spec{Command: runtime.Command{Listen: []string{"127.0.0.2:0"}, ListenFree: []string{taken.Addr().String(), "127.0.0.3:0"}}})
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
	if err := Close(open); err != nil {
		t.Error(err)
	}
}
