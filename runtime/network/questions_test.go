package network

import (
	"net"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// TestManyQuestions: guests whose servers of names do not answer take no more sockets than
// there are for all, and a guest that has none gets one.
func TestManyQuestions(t *testing.T) {
	silent, err := new(net.ListenConfig).ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Close() }()
	server := at(silent.LocalAddr().String())
	c := newCluster(t)
	spec := runtime.Network{Own: true, Egress: runtime.Egress{Allow: "*"}}
	greedy := newNetwork(t, c, "", spec)
	var open []net.Conn
	for {
		conn, err := greedy.dialServer(t.Context(), runtime.UDP, server)
		if err != nil {
			break
		}
		if open = append(open, conn); len(open) > maxQuestions {
			t.Fatal("there is no bound")
		}
	}
	other, err := newNetwork(t, c, "", spec).dialServer(t.Context(), runtime.UDP, server)
	if err != nil {
		t.Fatalf("another guest, with %d sockets open: %v", len(open), err)
	}
	for _, conn := range append(open, other) {
		_ = conn.Close()
		_ = conn.Close() // counts once
	}
	if free := c.questions.Free(); free != maxQuestions {
		t.Errorf("after all, %d of %d are free", free, maxQuestions)
	}
}
