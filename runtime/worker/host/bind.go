package host

import (
	"errors"
	"fmt"
	"net"
	"os"

	"github.com/krustlet-go/krustlet-wasi/runtime/worker/wire"
)

// Bound is a worker's folder that this process holds, and the socket in it, which does not answer
// yet. The process holds the folder only while the Bound can be reached, because its files are
// closed when it is garbage-collected.
type Bound struct {
	dir      string
	info     wire.Info
	record   *os.File // its lock shows this process to an agent
	folder   *os.File // its lock shows this process to agents of earlier versions
	listener *net.UnixListener
}

// Bind takes over the folder, which the agent made. Call it before the process gives up its rights,
// because Bind makes a unix socket, and reads the record beside the folder. The caller must call
// Serve or Close later.
func Bind(dir string) (*Bound, error) {
	b := &Bound{dir: dir}
	if err := b.bind(); err != nil {
		return nil, errors.Join(fmt.Errorf("making the socket: %w", err), b.Close())
	}
	return b, nil
}

func (b *Bound) bind() (err error) {
	if b.record, err = wire.OpenRecord(b.dir); err != nil {
		return err
	}
	if b.info, err = wire.ParseInfo(b.record); err != nil {
		return err
	}
	if err := wire.HoldRecord(b.record); err != nil {
		return err
	}
	if b.folder, err = wire.OpenFolder(b.dir); err != nil {
		return err
	}
	_ = wire.LockFolder(b.folder) // another worker may hold the lock, which does no harm
	b.listener, err = net.ListenUnix("unix", &net.UnixAddr{Name: wire.SocketPath(b.folder), Net: "unix"})
	if err != nil {
		return fmt.Errorf("binding the socket: %w", err)
	}
	b.listener.SetUnlinkOnClose(false)
	return nil
}

// Info is the agent's note about this worker: its slot.
func (b *Bound) Info() wire.Info { return b.info }

// Close releases a folder without serving. The agent removes the folder, because a confined worker
// cannot.
func (b *Bound) Close() error {
	var errs []error
	if b.listener != nil {
		errs = append(errs, b.listener.Close())
	}
	for _, file := range []*os.File{b.folder, b.record} {
		if file != nil {
			errs = append(errs, file.Close())
		}
	}
	return errors.Join(errs...)
}
