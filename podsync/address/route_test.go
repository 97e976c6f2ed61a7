package address

import (
	"errors"
	"io/fs"
	"net"
	"net/netip"
	"strings"
	"testing"

	"kernel.org/pub/linux/libs/security/libcap/cap"

	"github.com/krustlet-go/krustlet-wasi/hack/ownnetwork"
)

func TestMakeLocalInANetworkOfItsOwn(t *testing.T) {
	if !ownnetwork.Enter(t) {
		return
	}
	for _, each := range []struct{ cidr, pod string }{{"10.9.8.0/24", "10.9.8.7"}, {"fd00:9::/64", "fd00:9::7"}} {
		r, pod := netip.MustParsePrefix(each.cidr), netip.MustParseAddr(each.pod)
		if IsLocal(pod) {
			t.Fatalf("%s is local already", pod)
		}
		for range 2 { // the second time, the route is there already
			if err := MakeLocal(r); err != nil {
				t.Fatal(err)
			}
		}
		if !IsLocal(pod) {
			t.Fatalf("%s is not local", pod)
		}
	}
	l, err := net.Listen("tcp", "10.9.8.7:80")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestMakeLocalWithoutPrivilege(t *testing.T) {
	if !ownnetwork.Enter(t) {
		return
	}
	if err := MakeLocal(netip.MustParsePrefix("10.9.7.0/24")); err != nil {
		t.Fatal(err)
	}
	if err := cap.NewSet().SetProc(); err != nil {
		t.Fatal(err)
	}
	err := MakeLocal(netip.MustParsePrefix("10.9.8.0/24"))
	if !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "`local 10.9.8.0/24 dev lo`") {
		t.Fatalf("without a capability: %v", err)
	}
	// The first range is local for another reason. The loopback network is always local.
	for _, cidr := range []string{"10.9.7.0/24", "127.200.0.0/16"} {
		if err := MakeLocal(netip.MustParsePrefix(cidr)); err != nil {
			t.Fatal(err)
		}
	}
}
