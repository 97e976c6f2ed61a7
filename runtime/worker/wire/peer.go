package wire

import (
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// Trusted reports whether a process of the user uid may accept a peer with this user as the other
// side.
func Trusted(peer *unix.Ucred, uid uint32) bool { return peer.Uid == uid || peer.Uid == 0 }

// PeerOf returns the process on the other side of a unix socket, and its user. This is the process
// that connected, or the one that listens.
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
		return nil, fmt.Errorf("reading the credentials of the peer: %w", credErr)
	}
	return peer, nil
}
