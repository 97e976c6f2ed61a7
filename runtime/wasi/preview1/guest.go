package preview1

import (
	"context"
	"errors"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
)

// Guest is a guest that calls its host by preview 1. Package wasi says from where it may be used.
type Guest struct {
	*wasi.Guest
	args, env vector
	fds       fdTable
	buffers   [][]byte // of the current call; kept to reuse its memory
	polling   polling  // kept to reuse its memory
	sessions  sessions
}

// New makes a guest. It owns cfg.Listeners, even if it fails.
//
// The guest has the standard streams as descriptors 0 to 2, the listening sockets from 3 on, and
// then its directory "/". The variables LISTEN_FDS and LISTEN_FDNAMES tell it about the sockets.
// Preview 1 has no working directory, so New passes it in the variable PWD, unless cfg.Env has PWD.
// Go's runtime reads PWD; wasi-libc always starts in "/".
func New(cfg wasi.Config) (*Guest, error) {
	cfg.Env = environment(cfg)
	host, err := wasi.New(cfg)
	if err != nil {
		return nil, err
	}
	g := &Guest{Guest: host, args: newVector(host.Args()), env: newVector(host.Env())}
	g.fds.put(0, &descriptor{object: host.Stdin(), rights: inputRights})
	g.fds.put(1, &descriptor{object: host.Stdout(), rights: outputRights})
	g.fds.put(2, &descriptor{object: host.Stderr(), rights: outputRights})
	fd := 3
	for _, l := range host.Listeners() {
		g.fds.put(fd, &descriptor{
			object: l, rights: listenerRights, inheriting: connectionRights, flags: flagNonblock, preopened: true,
		})
		fd++
	}
	g.fds.put(fd, &descriptor{object: host.Root(), rights: dirRights, inheriting: dirRights | fileRights, preopened: true})
	return g, nil
}

// Close closes everything that the guest has open. The guest must have ended.
func (g *Guest) Close() error {
	g.sessions.close()
	return errors.Join(g.fds.closeAll(), g.Guest.Close())
}

// environment is the guest's environment, with the variables for what preview 1 has no function
// for.
func environment(cfg wasi.Config) []string {
	env := listenEnvironment(cfg.Env, cfg.Listeners)
	hasPWD := slices.ContainsFunc(cfg.Env, func(e string) bool { return strings.HasPrefix(e, "PWD=") })
	if cfg.WorkDir == "" || hasPWD {
		return env
	}
	return append(slices.Clone(env), "PWD="+cfg.WorkDir)
}

// Variables that tell a guest about its listening sockets, as in sd_listen_fds(3). LISTEN_PID is
// left out, because a guest has no process id. A libc uses an invented one: Go's is 3, wasi-libc's
// is 42.
const (
	listenFDs   = "LISTEN_FDS"     // their number, from descriptor 3 on
	listenNames = "LISTEN_FDNAMES" // a name for each, separated by colons: its port
)

// listenEnvironment replaces the variables.
func listenEnvironment(env []string, list []*net.TCPListener) []string {
	if len(list) == 0 {
		return env
	}
	out := make([]string, 0, len(env)+2)
	for _, e := range env {
		if name, _, _ := strings.Cut(e, "="); name != listenFDs && name != listenNames {
			out = append(out, e)
		}
	}
	ports := make([]string, 0, len(list))
	for _, l := range list {
		port := 0
		if addr, ok := l.Addr().(*net.TCPAddr); ok {
			port = addr.Port
		}
		ports = append(ports, strconv.Itoa(port))
	}
	return append(out, listenFDs+"="+strconv.Itoa(len(list)), listenNames+"="+strings.Join(ports, ":"))
}

// vector is a list of strings in the form that the guest reads: each ends in a zero byte.
type vector struct {
	list []string
	size uint32 // in bytes, with the zero bytes
}

// stringsPerLook is how many strings are copied between two checks whether the guest was killed.
const stringsPerLook = 4 << 10

func newVector(list []string) vector {
	v := vector{list: list}
	for _, s := range list {
		v.size += uint32(len(s)) + 1 // the host bounds the sum
	}
	return v
}

// sizes writes the number of entries and their total size.
func (v vector) sizes(m memory, count, size uint32) error {
	if err := m.putU32(count, uint32(len(v.list))); err != nil {
		return err
	}
	return m.putU32(size, v.size)
}

// write writes the pointers at ptrs and the bytes at buf.
func (v vector) write(ctx context.Context, g *Guest, m memory, ptrs, buf uint32) error {
	if _, err := m.bytes(ptrs, uint32(len(v.list))*4); err != nil {
		return err
	}
	b, err := m.bytes(buf, v.size)
	if err != nil {
		return err
	}
	at := uint32(0)
	for i, s := range v.list {
		if i%stringsPerLook == stringsPerLook-1 {
			if err := g.Look(ctx); err != nil {
				return err
			}
		}
		if err := m.putU32(ptrs+uint32(i)*4, buf+at); err != nil {
			return err
		}
		at += uint32(copy(b[at:], s))
		b[at] = 0
		at++
	}
	return nil
}
