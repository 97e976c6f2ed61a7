package host

import (
	"fmt"
	"net"

	"go.uber.org/zap"

	"github.com/krustlet-go/krustlet-wasi/runtime/worker/wire"
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
		peer, err := wire.PeerOf(conn)
		if err == nil && !wire.Trusted(peer, l.uid) {
			err = fmt.Errorf("process %d belongs to user %d", peer.Pid, peer.Uid)
		}
		if err == nil {
			return conn, nil
		}
		l.log.Warn("a connection was refused", zap.Error(err))
		_ = conn.Close()
	}
}
