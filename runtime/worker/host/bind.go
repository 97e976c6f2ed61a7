package host

import (
	"errors"
	"fmt"
	"net"
	"os"

	"github.com/krustlet-go/krustlet-wasi/runtime/worker/wire"
)

// Bound is a worker's folder that this process holds, and the socket in it, which does not answer
// yet. The process holds the folder only while the Bound can be reached: its files are closed when
// it is collected as garbage.
type Bound struct {
	dir      string
	info     wire.Info
	record   *os.File // holds the lock by which an agent finds this process
	folder   *os.File // holds the lock by which agents of earlier versions find it
	listener *net.UnixListener
}

// Bind takes the folder, which the agent made. Call it before the process gives up what it does not
// need: Bind makes a unix socket, and reads the record beside the folder. Serve or Close must
// follow.
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
	_ = wire.LockFolder(b.folder) // another worker may hold it, which does no harm
	b.listener, err = net.ListenUnix("unix", &net.UnixAddr{Name: wire.SocketPath(b.folder), Net: "unix"})
	if err != nil {
		return fmt.Errorf("binding the socket: %w", err)
	}
	b.listener.SetUnlinkOnClose(false)
	return nil
}

// Info is what the agent has noted of this worker: what the worker is for.
func (b *Bound) Info() wire.Info { return b.info }

// Close lets go of a folder without serving. The agent removes the folder: a confined worker
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
