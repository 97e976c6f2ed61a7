package preview1

import (
	"context"
	"encoding/binary"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
)

// caller calls functions of the table as a guest does, with a memory.
type caller struct {
	t   testing.TB
	g   *Guest
	mem []byte
	ctx context.Context //nolint:containedctx // the context of a test
}

// Addresses in the caller's memory.
const (
	addrResult = 0      // results of calls
	addrPath   = 0x1000 // a path
	addrPath2  = 0x3000 // another path
	addrVec    = 0x5000 // iovecs
	addrData   = 0x8000 // data to read and write
)

func newCaller(t testing.TB, cfg wasi.Config) *caller {
	t.Helper()
	if cfg.Mounts == nil {
		cfg.Mounts = []wasi.Mount{{Host: t.TempDir(), Guest: "/"}}
	}
	g, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return &caller{t: t, g: g, mem: make([]byte, 1<<18), ctx: t.Context()}
}

func (c *caller) call(name string, args ...uint64) error {
	c.t.Helper()
	for _, f := range Functions() {
		if f.Name == name {
			if len(args) != len(f.Params) {
				c.t.Fatalf("%s takes %d arguments, got %d", name, len(f.Params), len(args))
			}
			return asError(f.Call(c.ctx, c.g, c.mem, args))
		}
	}
	c.t.Fatalf("no function %s", name)
	return nil
}

// asError is the result of a call as an error: the number for the guest, or the error that ends the
// guest.
func asError(errno Errno, err error) error {
	if err == nil && errno != ErrnoSuccess {
		return errno
	}
	return err
}

// want fails the test unless the call returns this error.
func (c *caller) want(want error, name string, args ...uint64) {
	c.t.Helper()
	if err := c.call(name, args...); err != want {
		c.t.Errorf("%s%v: %v, want %v", name, args, err, want)
	}
}

func (c *caller) u32(at int) uint32 { return binary.LittleEndian.Uint32(c.mem[at:]) }
func (c *caller) u64(at int) uint64 { return binary.LittleEndian.Uint64(c.mem[at:]) }

// put writes text to the memory and returns its pointer and length for a call.
func (c *caller) put(at uint64, text string) (ptr, n uint64) {
	copy(c.mem[at:], text)
	return at, uint64(len(text))
}

// vec makes one iovec of n bytes at addrData.
func (c *caller) vec(n int) (ptr, count uint64) {
	binary.LittleEndian.PutUint32(c.mem[addrVec:], addrData)
	binary.LittleEndian.PutUint32(c.mem[addrVec+4:], uint32(n))
	return addrVec, 1
}

const readWrite = rightFDRead | rightFDWrite

// otherRights are all rights except those to read and write.
const otherRights = (dirRights | fileRights) &^ readWrite

// open opens a path below descriptor 3 and follows links. It asks for all rights except those to
// read or write; for these the argument decides.
func (c *caller) open(path string, oflags, rights, fdflags uint64) (fd uint64, err error) {
	c.t.Helper()
	p, n := c.put(addrPath, path)
	err = c.call("path_open", 3, lookupFollow, p, n, oflags, rights|otherRights, otherRights|readWrite, fdflags, addrResult)
	return uint64(c.u32(addrResult)), err
}

func (c *caller) mustOpen(path string, oflags, rights, fdflags uint64) uint64 {
	c.t.Helper()
	fd, err := c.open(path, oflags, rights, fdflags)
	if err != nil {
		c.t.Fatalf("open %s: %v", path, err)
	}
	return fd
}

func (c *caller) write(fd uint64, text string) {
	c.t.Helper()
	c.put(addrData, text)
	v, n := c.vec(len(text))
	c.want(nil, "fd_write", fd, v, n, addrResult)
}

func (c *caller) read(fd uint64, n int) string {
	c.t.Helper()
	v, count := c.vec(n)
	c.want(nil, "fd_read", fd, v, count, addrResult)
	return string(c.mem[addrData : addrData+c.u32(addrResult)])
}

// content is the content that the guest reads at a path.
func (c *caller) content(path string) (string, error) {
	c.t.Helper()
	fd, err := c.open(path, 0, rightFDRead, 0)
	if err != nil {
		return "", err
	}
	v, count := c.vec(4096)
	err = c.call("fd_read", fd, v, count, addrResult)
	text := string(c.mem[addrData : addrData+c.u32(addrResult)])
	c.want(nil, "fd_close", fd)
	if err != nil {
		return "", err
	}
	return text, nil
}
