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

// Guest is a guest that calls its host by preview 1. See package wasi for who may use it when.
type Guest struct {
	*wasi.Guest
	args, env vector
	fds       fdTable
	buffers   [][]byte // of the call that is made, kept for its memory
	polling   polling  // kept for its memory, too
}

// New makes a guest. It owns cfg.Listeners, even where it fails.
//
// The guest finds the standard streams as descriptors 0 to 2, the listening sockets from 3 on, and
// then its directory "/". The variables LISTEN_FDS and LISTEN_FDNAMES tell it of the sockets.
// Preview 1 has no working directory, so that is passed as the variable PWD, unless cfg.Env has
// one: Go's runtime looks there, wasi-libc always starts in "/".
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

// Close closes all that the guest had open. The guest must have ended.
func (g *Guest) Close() error { return errors.Join(g.fds.closeAll(), g.Guest.Close()) }

// environment is the guest's, with the variables that tell what preview 1 has no function for.
func environment(cfg wasi.Config) []string {
	env := listenEnvironment(cfg.Env, cfg.Listeners)
	hasPWD := slices.ContainsFunc(cfg.Env, func(e string) bool { return strings.HasPrefix(e, "PWD=") })
	if cfg.WorkDir == "" || hasPWD {
		return env
	}
	return append(slices.Clone(env), "PWD="+cfg.WorkDir)
}

// Variables that tell a guest of its listening sockets, as sd_listen_fds(3) has them. LISTEN_PID is
// left out: a guest has no process id, and its libc makes one up: Go's is 3, wasi-libc's is 42.
const (
	listenFDs   = "LISTEN_FDS"     // how many there are, from descriptor 3 on
	listenNames = "LISTEN_FDNAMES" // a name for each, with colons between: its port
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

// vector is a list of strings as the guest reads it: each ends in a zero byte.
type vector struct {
	list []string
	size uint32 // bytes, the zero bytes included
}

// stringsPerLook is how many strings are copied before the host looks whether the guest was killed.
const stringsPerLook = 4 << 10

func newVector(list []string) vector {
	v := vector{list: list}
	for _, s := range list {
		v.size += uint32(len(s)) + 1 // the host bounds the sum
	}
	return v
}

// sizes writes the number of entries and the size of them all.
func (v vector) sizes(m memory, count, size uint32) error {
	if err := m.putU32(count, uint32(len(v.list))); err != nil {
		return err
	}
	return m.putU32(size, v.size)
}

// write fills the pointers at ptrs and the bytes at buf.
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
