package run

import (
	"context"
	"errors"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/krustlet-go/krustlet-wasi/cmd/krustlet-wasi/cmdline"
	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasmtime"
)

var errWatch = errors.New("flag --watch: only an HTTP handler is served again when its file has changed, and this is none")

var errNoHandler = errors.New("the file has changed, and is no HTTP handler any more")

// served are the addresses of a guest that is an HTTP handler.
func served(guest runtime.Guest) []net.Addr {
	if s, ok := guest.(interface{ Addresses() []net.Addr }); ok {
		return s.Addresses()
	}
	return nil
}

// sayAddresses prints where a handler is served, a line each. Programs that start it read them.
func (p Program) sayAddresses(addresses []net.Addr) {
	for _, a := range addresses {
		cmdline.Printf(p.Stderr, "http://%s\n", reachable(a))
	}
}

// reachable is an address at which a client of this machine reaches a listener.
func reachable(a net.Addr) string {
	tcp, ok := a.(*net.TCPAddr)
	if !ok || !tcp.IP.IsUnspecified() {
		return a.String()
	}
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(tcp.Port))
}

// watchEvery is how often a file is looked at.
const watchEvery = 200 * time.Millisecond

// watch serves a handler, and serves it again from its file whenever that has changed. A file that
// cannot be served leaves the handler as it is. watch returns the guest when it ends or ctx does.
func (p Program) watch(ctx context.Context, c settings, engine *wasmtime.Engine, spec runtime.Spec, guest runtime.Guest) (runtime.Guest, error) {
	if !isFile(c.target) {
		return guest, nil // an image does not change
	}
	spec.HTTP.Listen = nil
	for _, a := range served(guest) { // the same port again, also for port 0
		spec.HTTP.Listen = append(spec.HTTP.Listen, a.String())
	}
	ticks := time.NewTicker(watchEvery)
	defer ticks.Stop()
	seen, served := stampOf(c.target), stampOf(c.target)
	for {
		select {
		case <-guest.Done():
			return guest, nil
		case <-ctx.Done():
			return guest, nil
		case <-ticks.C:
		}
		now := stampOf(c.target)
		settled := now == seen
		seen = now
		if now == served || !settled || now == (stamp{}) {
			continue // it is as it was, is being written, or is gone
		}
		served = now
		next, err := p.serveAgain(ctx, c, engine, spec, guest)
		if err != nil {
			return nil, err
		}
		guest = next
	}
}

// serveAgain replaces a guest by another one of the same file. The error says why there is none any
// more.
func (p Program) serveAgain(ctx context.Context, c settings, engine *wasmtime.Engine, spec runtime.Spec, guest runtime.Guest) (runtime.Guest, error) {
	module, err := fileModule(c.target)
	if err == nil {
		program, failed := module.Program(spec.Args, spec.Env, spec.WorkDir)
		if err = failed; err == nil {
			spec.Module, spec.Digest = program.Path, program.Digest
			err = engine.Prepare(ctx, spec)
		}
	}
	if err != nil {
		cmdline.Printf(p.Stderr, "krustlet-wasi: the file has changed and cannot be served: %v; the one before is served on\n", err)
		return guest, nil
	}
	guest.Stop(max(c.grace, time.Second))
	select {
	case <-guest.Done():
	case <-ctx.Done():
		return guest, nil
	}
	next, err := engine.Start(ctx, spec, runtime.Streams{Stdin: p.Stdin, Stdout: p.Stdout, Stderr: p.Stderr})
	if err != nil {
		return nil, err
	}
	if len(served(next)) == 0 {
		next.Stop(0)
		<-next.Done()
		return nil, errNoHandler
	}
	cmdline.Printf(p.Stderr, "krustlet-wasi: the file has changed and is served\n")
	return next, nil
}

// stamp tells one content of a file from another.
type stamp struct {
	size     int64
	modified time.Time
}

func stampOf(path string) stamp {
	info, err := os.Stat(path)
	if err != nil {
		return stamp{}
	}
	return stamp{info.Size(), info.ModTime()}
}
