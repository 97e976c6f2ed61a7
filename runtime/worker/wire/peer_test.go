package wire

import (
	"testing"

	"golang.org/x/sys/unix"
)

func TestTrustedPeers(t *testing.T) {
	for _, c := range []struct {
		peer, own uint32
		want      bool
	}{{1000, 1000, true}, {0, 1000, true}, {1001, 1000, false}, {1000, 0, false}} {
		if got := Trusted(&unix.Ucred{Uid: c.peer}, c.own); got != c.want {
			t.Errorf("peer of user %d with user %d: %v", c.peer, c.own, got)
		}
	}
}
