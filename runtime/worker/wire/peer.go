package wire

import (
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// Trusted reports whether a process of that user may connect.
func Trusted(peer *unix.Ucred, uid uint32) bool { return peer.Uid == uid || peer.Uid == 0 }

// peerOf says which process, of which user, made the connection (or, seen from the other side, the listener).
func PeerOf(conn syscall.Conn) (*unix.Ucred, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	var peer *unix.Ucred
	var credErr error
	if err := raw.Control(func(fd uintptr) {
		peer, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil {
		return nil, err
	}
	if credErr != nil {
		return nil, fmt.Errorf("credentials of the peer: %w", credErr)
	}
	return peer, nil
}
