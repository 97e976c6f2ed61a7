package preview1

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
)

func TestStandardStreams(t *testing.T) {
	var out, errs bytes.Buffer
	c := newCaller(t, wasi.Config{Stdin: strings.NewReader("input"), Stdout: &out, Stderr: &errs})
	if got := c.read(0, 100) + c.read(0, 100); got != "input" {
		t.Errorf("standard input %q", got)
	}
	c.write(1, "to out")
	c.write(2, "to err")
	if out.String() != "to out" || errs.String() != "to err" {
		t.Errorf("stdout %q, stderr %q", &out, &errs)
	}
	v, n := c.vec(1)
	c.want(ErrnoBadf, "fd_write", 0, v, n, 0)
	c.want(ErrnoBadf, "fd_read", 1, v, n, 0)
	c.want(ErrnoSpipe, "fd_seek", 1, 0, 0, 0)
	c.want(ErrnoSpipe, "fd_pread", 0, v, n, 0, 0)
	c.want(nil, "fd_fdstat_get", 1, 0)
	if c.mem[0] == byte(typeCharacterDevice) || c.u64(8)&rightFDWrite == 0 || c.u64(8)&rightFDSeek != 0 {
		t.Errorf("stdout has type %d and rights %b", c.mem[0], c.u64(8))
	}
	c.want(nil, "fd_filestat_get", 1, 0)
}

func TestNoStreamsAreEmptyAndDiscard(t *testing.T) {
	c := newCaller(t, wasi.Config{})
	if got := c.read(0, 10); got != "" {
		t.Errorf("standard input %q", got)
	}
	c.write(1, "lost")
	if c.u32(addrResult) != 4 {
		t.Errorf("wrote %d bytes", c.u32(addrResult))
	}
}

func TestReadWriteSeek(t *testing.T) {
	c := newCaller(t, wasi.Config{})
	fd := c.mustOpen("file", openCreate|openExclusive, readWrite, 0)
	c.write(fd, "hello world")
	c.want(nil, "fd_tell", fd, 8)
	if c.u64(8) != 11 {
		t.Errorf("at %d", c.u64(8))
	}
	c.want(nil, "fd_seek", fd, ^uint64(4), 2, 8) // 5 bytes before the end
	if got := c.read(fd, 100); got != "world" {
		t.Errorf("the end is %q", got)
	}
	c.want(ErrnoInval, "fd_seek", fd, ^uint64(99), 1, 8)
	c.want(ErrnoInval, "fd_seek", fd, 0, 3, 8)
	c.put(addrData, "J")
	v, n := c.vec(1)
	c.want(nil, "fd_pwrite", fd, v, n, 0, addrResult)
	c.vec(5)
	c.want(nil, "fd_pread", fd, v, n, 0, addrResult)
	if got := string(c.mem[addrData : addrData+5]); got != "Jello" {
		t.Errorf("at 0 there is %q", got)
	}
	c.want(nil, "fd_pread", fd, v, n, 1000, addrResult)
	if c.u32(addrResult) != 0 {
		t.Errorf("%d bytes behind the end", c.u32(addrResult))
	}
	c.want(ErrnoInval, "fd_pread", fd, v, n, 1<<63, addrResult)
	c.want(nil, "fd_filestat_set_size", fd, 3)
	c.want(nil, "fd_allocate", fd, 0, 10)
	c.want(ErrnoInval, "fd_allocate", fd, 1<<63, 1<<63)
	c.want(nil, "fd_sync", fd)
	c.want(nil, "fd_datasync", fd)
	c.want(nil, "fd_advise", fd, 0, 0, 3)
	c.want(ErrnoInval, "fd_advise", fd, 0, 0, 6)
	c.want(nil, "fd_filestat_get", fd, 64)
	if c.u64(64+32) != 10 || c.mem[64+16] != byte(typeRegularFile) || c.u64(64+24) != 1 {
		t.Errorf("size %d, type %d, links %d", c.u64(64+32), c.mem[64+16], c.u64(64+24))
	}
	c.want(nil, "fd_filestat_set_times", fd, 5e9, 7e9, setAtim|setMtim)
	c.want(nil, "fd_filestat_get", fd, 64)
	if c.u64(64+40) != 5e9 || c.u64(64+48) != 7e9 {
		t.Errorf("times %d and %d", c.u64(64+40), c.u64(64+48))
	}
	c.want(ErrnoInval, "fd_filestat_set_times", fd, 0, 0, setAtim|setAtimNow)
	c.want(nil, "fd_close", fd)
	c.want(ErrnoBadf, "fd_close", fd)
	c.want(ErrnoBadf, "fd_tell", fd, 8)
}

func TestSeveralBuffers(t *testing.T) {
	c := newCaller(t, wasi.Config{})
	fd := c.mustOpen("file", openCreate, readWrite, 0)
	c.put(addrData, "onetwothree")
	sizes := []uint32{3, 0, 3, 5}
	at := uint32(addrData)
	for i, size := range sizes {
		binary.LittleEndian.PutUint32(c.mem[addrVec+8*i:], at)
		binary.LittleEndian.PutUint32(c.mem[addrVec+8*i+4:], size)
		at += size
	}
	c.want(nil, "fd_write", fd, addrVec, 4, addrResult)
	clear(c.mem[addrData : addrData+20])
	c.want(nil, "fd_pread", fd, addrVec, 4, 0, addrResult)
	if got := string(c.mem[addrData : addrData+11]); got != "onetwothree" || c.u32(addrResult) != 11 {
		t.Errorf("read %d bytes, %q", c.u32(addrResult), got)
	}
	c.want(ErrnoInval, "fd_write", fd, addrVec, maxIovecs+1, addrResult)
	binary.LittleEndian.PutUint32(c.mem[addrVec+8*3:], 1<<32-1)
	c.want(ErrnoFault, "fd_write", fd, addrVec, 4, addrResult)
	c.want(nil, "fd_tell", fd, 8)
	if c.u64(8) != 11 {
		t.Errorf("a call with a bad buffer wrote up to %d", c.u64(8))
	}
}

func TestAppend(t *testing.T) {
	c := newCaller(t, wasi.Config{})
	fd := c.mustOpen("file", openCreate, readWrite, flagAppend)
	c.write(fd, "one")
	c.want(nil, "fd_seek", fd, 0, 0, 8)
	c.write(fd, "two")
	c.want(nil, "fd_fdstat_get", fd, 64)
	if flags := binary.LittleEndian.Uint16(c.mem[66:]); flags != flagAppend {
		t.Errorf("flags %b", flags)
	}
	c.want(nil, "fd_fdstat_set_flags", fd, 0)
	c.want(nil, "fd_seek", fd, 0, 0, 8)
	c.write(fd, "ONE")
	c.want(ErrnoNotsup, "fd_fdstat_set_flags", fd, flagSync)
	c.want(ErrnoInval, "fd_fdstat_set_flags", fd, 1<<9)
	if got, _ := c.content("file"); got != "ONEtwo" {
		t.Errorf("the file holds %q", got)
	}
}

// TestFilesAreShared: a guest that holds many files gets no more as long as others hold few. Closed
// files are free again.
func TestFilesAreShared(t *testing.T) {
	files := wasi.NewFiles(10)
	open := func(c *caller) (fds []uint64) {
		for {
			fd, err := c.open("a", openCreate, readWrite, 0)
			if err != nil {
				if err != ErrnoNfile {
					t.Errorf("%v", err)
				}
				return fds
			}
			fds = append(fds, fd)
		}
	}
	greedy, modest := newCaller(t, wasi.Config{Files: files}), newCaller(t, wasi.Config{Files: files})
	first := open(greedy)
	if len(first) != 5 { // as many as are free
		t.Errorf("the first got %d of 10", len(first))
	}
	if got := open(modest); len(got) != 3 {
		t.Errorf("the second got %d of the 5 that were left", len(got))
	}
	if again := open(greedy); len(again) != 0 {
		t.Errorf("the first got %d more", len(again))
	}
	greedy.want(nil, "fd_renumber", first[0], first[1])
	greedy.want(nil, "fd_renumber", first[1], 0)
	for _, fd := range first[2:] {
		greedy.want(nil, "fd_close", fd)
	}
	greedy.want(nil, "fd_close", 0)
	for range 20 { // a failed opening uses no file
		if _, err := greedy.open("no/such", 0, readWrite, 0); err != ErrnoNoent {
			t.Fatal(err)
		}
	}
	if got := files.Free(); got != 7 {
		t.Errorf("%d are free after all of the first's were closed", got)
	}
}

func TestDescriptorNumbers(t *testing.T) {
	c := newCaller(t, wasi.Config{MaxDescriptors: 6})
	a := c.mustOpen("a", openCreate, readWrite, 0)
	b := c.mustOpen("b", openCreate, readWrite, 0)
	if a != 4 || b != 5 {
		t.Errorf("descriptors %d and %d", a, b)
	}
	if _, err := c.open("c", openCreate, readWrite, 0); err != ErrnoMfile {
		t.Errorf("one too many: %v", err)
	}
	if _, err := c.content("c"); err == nil {
		t.Error("the one too many was made")
	}
	c.write(a, "in a")
	c.want(nil, "fd_renumber", a, b)
	c.want(ErrnoBadf, "fd_close", a)
	c.write(b, ", and more")
	c.want(nil, "fd_renumber", b, b)
	c.want(ErrnoBadf, "fd_renumber", b, 77)
	c.want(ErrnoBadf, "fd_renumber", 77, b)
	if again := c.mustOpen("b", 0, rightFDRead, 0); again != a {
		t.Errorf("the free number is not used again: %d", again)
	} else if got := c.read(again, 100); got != "" {
		t.Errorf("b holds %q", got)
	}
	c.want(nil, "fd_close", b)
	if got, _ := c.content("a"); got != "in a, and more" {
		t.Errorf("a holds %q", got)
	}
	c.want(nil, "fd_prestat_get", 3, 0)
	c.want(nil, "fd_prestat_dir_name", 3, 64, 1)
	if c.u32(4) != 1 || c.mem[64] != '/' {
		t.Errorf("preopen of %d bytes %q", c.u32(4), c.mem[64])
	}
	c.want(ErrnoNametoolong, "fd_prestat_dir_name", 3, 64, 0)
	c.want(nil, "fd_close", 3)
	c.want(ErrnoBadf, "fd_prestat_get", 3, 0)
	if _, err := c.open("a", 0, rightFDRead, 0); err != ErrnoBadf {
		t.Errorf("without the preopen: %v", err)
	}
}

func TestFIFO(t *testing.T) {
	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	c := newCaller(t, wasi.Config{Mounts: []wasi.Mount{{Host: dir, Guest: "/"}}})
	if _, err := c.open("fifo", 0, rightFDWrite, 0); err != ErrnoNxio {
		t.Errorf("writing with no reader: %v", err)
	}
	fd := c.mustOpen("fifo", 0, rightFDRead, 0) // it must not wait for a writer
	w, err := os.OpenFile(fifo, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if _, err := w.WriteString("x"); err != nil {
		t.Fatal(err)
	}
	if got := c.read(fd, 10); got != "x" {
		t.Errorf("read %q", got)
	}
	var kill context.CancelFunc
	c.ctx, kill = context.WithCancel(c.ctx)
	time.AfterFunc(20*time.Millisecond, kill)
	v, n := c.vec(1)
	c.want(wasi.ErrKilled, "fd_read", fd, v, n, addrResult)
	c.ctx = t.Context()
	c.want(nil, "fd_fdstat_set_flags", fd, flagNonblock)
	c.want(ErrnoAgain, "fd_read", fd, v, n, addrResult)
}

func TestKillEndsALongTransfer(t *testing.T) {
	ctx, kill := context.WithCancel(t.Context())
	defer kill()
	writes := 0
	c := newCaller(t, wasi.Config{Stdout: writerFunc(func(p []byte) (int, error) {
		if writes++; writes == 2 {
			kill()
		}
		return len(p), nil
	})})
	c.mem, c.ctx = make([]byte, 16<<20), ctx
	v, n := c.vec(15 << 20)
	c.want(wasi.ErrKilled, "fd_write", 1, v, n, addrResult)
	if writes != 2 {
		t.Errorf("%d writes", writes)
	}
}

func TestFailingOutput(t *testing.T) {
	c := newCaller(t, wasi.Config{Stdout: writerFunc(func(p []byte) (int, error) { return 0, syscall.ENOSPC }),
		Stderr: writerFunc(func(p []byte) (int, error) { return 2, errors.New("broken") })})
	c.put(addrData, "text")
	v, n := c.vec(4)
	c.want(ErrnoNospc, "fd_write", 1, v, n, addrResult)
	c.want(nil, "fd_write", 2, v, n, addrResult) // the call reports the bytes that were written
	if c.u32(addrResult) != 2 {
		t.Errorf("wrote %d", c.u32(addrResult))
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
