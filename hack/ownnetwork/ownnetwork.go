// Package ownnetwork gives tests a network of their own, in which they may add addresses and
// routes.
package ownnetwork

import (
	"syscall"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/krustlet-go/krustlet-wasi/hack/ownprocess"
)

// Enter is ownprocess.Enter with a separate network namespace, in which the loopback device is up.
func Enter(t *testing.T) bool {
	t.Helper()
	if !ownprocess.Enter(t, syscall.CLONE_NEWNET) {
		return false
	}
	loopbackUp(t)
	return true
}

func loopbackUp(t *testing.T) {
	t.Helper()
	lo, err := netlink.LinkByName("lo")
	if err == nil {
		err = netlink.LinkSetUp(lo)
	}
	if err != nil {
		t.Fatal(err)
	}
}
