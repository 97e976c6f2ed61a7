package p2

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/p2/bindings"
)

// caller calls functions as a guest does, at the Go interfaces.
type caller struct {
	t     testing.TB
	h     *Host
	b     *bindings.Host
	guest *wasi.Guest
	ctx   context.Context //nolint:containedctx // the context of a test
	kill  context.CancelFunc
	dir   string // of the mount at "/"
}

func newCaller(t testing.TB, cfg wasi.Config) *caller {
	t.Helper()
	if cfg.Mounts == nil {
		cfg.Mounts = []wasi.Mount{{Host: t.TempDir(), Guest: "/"}}
	}
	cfg.Confined = true
	g, err := wasi.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, kill := context.WithCancel(t.Context())
	h := New(ctx, g)
	t.Cleanup(func() {
		kill()
		if err := errors.Join(h.Close(), g.CloseInitial(), g.Close()); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return &caller{t: t, h: h, b: h.WASIP2(), guest: g, ctx: ctx, kill: kill, dir: cfg.Mounts[0].Host}
}

// root returns a new handle of "/".
func (c *caller) root() *file {
	c.t.Helper()
	list, err := c.b.Preopens.GetDirectories(c.ctx)
	if err != nil || len(list) != 1 || list[0].B != "/" {
		c.t.Fatalf("get-directories: %v, %v, want one with the path /", list, err)
	}
	return list[0].A.(*file)
}

const (
	readFlag  = bindings.DescriptorFlagsRead
	writeFlag = bindings.DescriptorFlagsWrite
)

// open opens a path below "/".
func (c *caller) open(path string, open bindings.OpenFlags, flags bindings.DescriptorFlags) (*file, error) {
	root := c.root()
	defer root.Drop()
	d, err := root.OpenAt(c.ctx, bindings.PathFlagsSymlinkFollow, path, open, flags)
	if err != nil {
		return nil, err
	}
	return d.(*file), nil
}

func (c *caller) mustOpen(path string, open bindings.OpenFlags, flags bindings.DescriptorFlags) *file {
	c.t.Helper()
	d, err := c.open(path, open, flags)
	if err != nil {
		c.t.Fatalf("open-at %s: %v", path, err)
	}
	return d
}

// want fails the test unless the error of a call is this one.
func (c *caller) want(what string, err, want error) {
	c.t.Helper()
	if !errors.Is(err, want) {
		c.t.Errorf("%s: %v, want %v", what, err, want)
	}
}

// wantFailed fails the test unless the error of a stream has this code.
func (c *caller) wantFailed(what string, err error, want bindings.FilesystemErrorCode) {
	c.t.Helper()
	var e bindings.StreamError
	if !errors.As(err, &e) || e.Case != bindings.StreamErrorLastOperationFailed {
		c.t.Errorf("%s: %v, want last-operation-failed", what, err)
		return
	}
	code, err := c.b.Filesystem.FilesystemErrorCode(c.ctx, e.LastOperationFailed)
	if err != nil || !code.Is || code.Value != want {
		c.t.Errorf("%s: the error is %v, %v, want %v", what, code, err, want)
	}
	e.LastOperationFailed.Drop()
}

// content is what the host has at a path below "/".
func (c *caller) content(path string) string {
	c.t.Helper()
	b, err := os.ReadFile(filepath.Join(c.dir, path))
	if err != nil {
		c.t.Error(err)
	}
	return string(b)
}

// all reads a stream to its end.
func (c *caller) all(s bindings.InputStream) (text string) {
	c.t.Helper()
	for {
		b, err := s.BlockingRead(c.ctx, 1<<63)
		if errors.Is(err, errClosed) {
			return text
		}
		if err != nil {
			c.t.Fatalf("reading: %v", err)
		}
		text += string(b)
	}
}

// must returns the value of a call that succeeds.
func must[T any](t testing.TB) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// write writes with a permit.
func write(ctx context.Context, s bindings.OutputStream, text string) error {
	if _, err := s.CheckWrite(ctx); err != nil {
		return err
	}
	return s.Write(ctx, []byte(text))
}

// pipe is an input that a test writes to.
func pipe(t testing.TB) (io.Reader, net.Conn) {
	t.Helper()
	r, w := net.Pipe()
	t.Cleanup(func() { _ = w.Close(); _ = r.Close() })
	return r, w
}

// held fails the test unless the guest holds no resource.
func (c *caller) held() {
	c.t.Helper()
	for k, n := range c.h.held {
		if n != 0 {
			c.t.Errorf("the guest holds %d %s, want none", n, bounds[k].what)
		}
	}
	if objects, bytes := c.h.web.Used(); objects != 0 || bytes != 0 {
		c.t.Errorf("the guest holds %d HTTP objects with %d bytes, want none", objects, bytes)
	}
	open, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		c.t.Error(err)
	}
	for _, fd := range open {
		if to, err := os.Readlink(fd); err == nil && strings.HasPrefix(to, c.dir+"/") {
			c.t.Errorf("the guest has %s open", to)
		}
	}
}
