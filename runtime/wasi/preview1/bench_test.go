package preview1

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/hack/testfiles"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
)

// benchmarkCall measures one function of the table. It fails if the call does.
func benchmarkCall(b *testing.B, c *caller, name string, args ...uint64) {
	b.Helper()
	var call func() error
	for _, f := range Functions() {
		if f.Name == name {
			call = func() error { return asError(f.Call(c.ctx, c.g, c.mem, args)) }
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := call(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkTransfer(b *testing.B) {
	c := newCaller(b, wasi.Config{Stdout: io.Discard})
	fd := c.mustOpen("file", openCreate, readWrite, 0)
	c.want(nil, "fd_filestat_set_size", fd, 1<<20)
	v, n := c.vec(4096)
	b.Run("fd_pwrite", func(b *testing.B) { benchmarkCall(b, c, "fd_pwrite", fd, v, n, 0, addrResult) })
	b.Run("fd_pread", func(b *testing.B) { benchmarkCall(b, c, "fd_pread", fd, v, n, 0, addrResult) })
	b.Run("stdout", func(b *testing.B) { benchmarkCall(b, c, "fd_write", 1, v, n, addrResult) })
	b.Run("fd_seek", func(b *testing.B) { benchmarkCall(b, c, "fd_seek", fd, 0, 0, addrResult) })
}

func BenchmarkPaths(b *testing.B) {
	root, etc := b.TempDir(), b.TempDir()
	if err := os.MkdirAll(filepath.Join(root, "a/b/c/d/e"), 0o755); err != nil {
		b.Fatal(err)
	}
	testfiles.Write(b, filepath.Join(root, "file"), "text")
	testfiles.Write(b, filepath.Join(root, "a/b/c/d/e/file"), "text")
	testfiles.Write(b, filepath.Join(etc, "hosts"), "text")
	testfiles.Symlink(b, "file", filepath.Join(root, "link"))
	c := newCaller(b, wasi.Config{Mounts: []wasi.Mount{{Host: root, Guest: "/"}, {Host: etc, Guest: "/etc"}, {Host: b.TempDir(), Guest: "/tmp"}}})
	for name, path := range map[string]string{"name": "file", "deep": "a/b/c/d/e/file", "mount": "etc/hosts", "link": "link", "dotted": "a/../file"} {
		p, n := c.put(addrPath, path)
		b.Run("path_open/"+name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := pathOpen(c.ctx, c.g, c.mem, []uint64{3, lookupFollow, p, n, 0, rightFDRead, 0, 0, addrResult}); err != nil {
					b.Fatal(err)
				}
				if err := fdClose(c.ctx, c.g, c.mem, []uint64{uint64(c.u32(addrResult))}); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("path_filestat_get/"+name, func(b *testing.B) {
			benchmarkCall(b, c, "path_filestat_get", 3, lookupFollow, p, n, addrData)
		})
	}
}

func BenchmarkPoll(b *testing.B) {
	c, addr := listening(b, wasi.Config{})
	const n = 100
	for i := range n {
		fd, _ := c.accepted(addr, flagNonblock)
		c.subscribe(i, eventFDRead, fd, 0)
	}
	c.subscribe(n, eventClock, 0, 0)
	b.Run("100 sockets", func(b *testing.B) { benchmarkCall(b, c, "poll_oneoff", addrVec, 0x10000, n+1, addrResult) })
}

func BenchmarkSocket(b *testing.B) {
	c, addr := listening(b, wasi.Config{})
	fd, peer := c.accepted(addr, 0)
	go func(peer net.Conn) { _, _ = io.Copy(peer, peer) }(peer) // it ends with the connection
	v, n := c.vec(1)
	b.Run("echo", func(b *testing.B) {
		for b.Loop() {
			c.want(nil, "sock_send", fd, v, n, 0, addrResult)
			c.want(nil, "sock_recv", fd, v, n, 0, addrResult, 8)
		}
	})
}
