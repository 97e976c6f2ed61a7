package worker

import (
	"fmt"
	"net"
	"syscall"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"
)

// guardedListener accepts connections from processes of the same user, and of root.
type guardedListener struct {
	*net.UnixListener
	uid uint32 // effective user of this process
	log *zap.Logger
}

// Accept implements net.Listener.
func (l *guardedListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.AcceptUnix()
		if err != nil {
			return nil, err
		}
		peer, err := peerOf(conn)
		if err == nil && !trusted(peer, l.uid) {
			err = fmt.Errorf("process %d belongs to user %d", peer.Pid, peer.Uid)
		}
		if err == nil {
			return conn, nil
		}
		l.log.Warn("a connection was refused", zap.Error(err))
		_ = conn.Close()
	}
}

func trusted(peer *unix.Ucred, uid uint32) bool { return peer.Uid == uid || peer.Uid == 0 }

// peerOf says which process, of which user, made the connection (or, seen from the other side, the listener).
func peerOf(conn syscall.Conn) (*unix.Ucred, error) {
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
