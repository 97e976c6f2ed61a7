package p2

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/krustlet-go/krustlet-wasi/hack/testfiles"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/p2/bindings"
)

const create = bindings.OpenFlagsCreate

// TestFilesThroughStreams writes, appends to and reads a file through streams.
func TestFilesThroughStreams(t *testing.T) {
	c := newCaller(t, wasi.Config{})
	d := c.mustOpen("log", create, readFlag|writeFlag)
	out := must[bindings.OutputStream](t)(d.WriteViaStream(c.ctx, 2))
	c.want("write", write(c.ctx, out, "345"), nil)
	c.want("write", write(c.ctx, out, "678"), nil)
	end := must[bindings.OutputStream](t)(d.AppendViaStream(c.ctx))
	c.want("append", write(c.ctx, end, "9"), nil)
	c.want("append, blocking", end.BlockingWriteAndFlush(c.ctx, []byte("0")), nil)
	c.want("write at the start", write(c.ctx, must[bindings.OutputStream](t)(d.WriteViaStream(c.ctx, 0)), "12"), nil)
	if got := c.content("log"); got != "1234567890" {
		t.Errorf("the file has %q", got)
	}
	in := must[bindings.InputStream](t)(d.ReadViaStream(c.ctx, 3))
	if b, err := in.Read(c.ctx, 2); string(b) != "45" || err != nil {
		t.Errorf("read: %q, %v", b, err)
	}
	if n, err := in.Skip(c.ctx, 2); n != 2 || err != nil {
		t.Errorf("skip: %d, %v", n, err)
	}
	if n, err := in.BlockingSkip(c.ctx, 1); n != 1 || err != nil {
		t.Errorf("blocking-skip: %d, %v", n, err)
	}
	if b, err := in.Read(c.ctx, 0); len(b) != 0 || err != nil {
		t.Errorf("read of nothing: %q, %v", b, err)
	}
	if got := c.all(in); got != "90" {
		t.Errorf("the rest: %q", got)
	}
	for _, n := range []uint64{0, 1, math.MaxUint64} {
		_, err := in.Read(c.ctx, n)
		c.want("read at the end", err, errClosed)
	}
	c.want("append", write(c.ctx, end, "+"), nil)
	if b, err := in.Read(c.ctx, 9); string(b) != "+" || err != nil {
		t.Errorf("read of a file that grew: %q, %v", b, err)
	}
}

// TestLargeReads reads more than a call returns.
func TestLargeReads(t *testing.T) {
	c := newCaller(t, wasi.Config{})
	text := strings.Repeat("0123456789abcdef", 20<<10)
	testfiles.Write(t, filepath.Join(c.dir, "big"), text)
	d := c.mustOpen("big", 0, readFlag)
	if got := c.all(must[bindings.InputStream](t)(d.ReadViaStream(c.ctx, 0))); got != text {
		t.Errorf("a stream returned %d bytes, want %d", len(got), len(text))
	}
	r, err := d.Read(c.ctx, math.MaxUint64, 0)
	if err != nil || len(r.A) != maxRead || r.B {
		t.Errorf("read returned %d bytes, end %v, %v, want %d bytes and more", len(r.A), r.B, err, maxRead)
	}
	r, err = d.Read(c.ctx, 100, uint64(len(text)-10))
	if err != nil || string(r.A) != text[len(text)-10:] || !r.B {
		t.Errorf("read at the end returned %q, end %v, %v", r.A, r.B, err)
	}
	if r, err = d.Read(c.ctx, 100, 1<<40); err != nil || len(r.A) != 0 || !r.B {
		t.Errorf("read behind the end returned %q, end %v, %v", r.A, r.B, err)
	}
	if r, err = d.Read(c.ctx, 0, 0); err != nil || len(r.A) != 0 || r.B {
		t.Errorf("read of nothing returned %q, end %v, %v", r.A, r.B, err)
	}
}

// TestHostileOffsets has offsets and lengths that no file has.
func TestHostileOffsets(t *testing.T) {
	c := newCaller(t, wasi.Config{})
	d := c.mustOpen("f", create, readFlag|writeFlag)
	const invalid = bindings.FilesystemErrorCodeInvalid
	for _, at := range []uint64{1 << 63, math.MaxUint64} {
		_, err := d.Read(c.ctx, 1, at)
		c.want("read", err, invalid)
		_, err = d.Write(c.ctx, []byte("x"), at)
		c.want("write", err, invalid)
		_, err = d.ReadViaStream(c.ctx, at)
		c.want("read-via-stream", err, invalid)
		_, err = d.WriteViaStream(c.ctx, at)
		c.want("write-via-stream", err, invalid)
		c.want("set-size", d.SetSize(c.ctx, at), invalid)
		c.want("advise", d.Advise(c.ctx, at, at, bindings.AdviceRandom), nil)
	}
	last := must[bindings.OutputStream](t)(d.WriteViaStream(c.ctx, math.MaxInt64))
	if err := write(c.ctx, last, "xx"); err == nil {
		t.Error("a write behind the last offset succeeded")
	}
	c.want("write after a failure", write(c.ctx, last, "x"), errClosed)
	in := must[bindings.InputStream](t)(d.ReadViaStream(c.ctx, math.MaxInt64))
	if b, err := in.Read(c.ctx, math.MaxUint64); len(b) > 0 || err == nil {
		t.Errorf("a read at the last offset returned %d bytes, %v", len(b), err)
	}
	if _, err := d.Write(c.ctx, []byte("xx"), math.MaxInt64); err == nil {
		t.Error("a write behind the last offset succeeded")
	}
}

// TestFlags opens files without the flags that calls need.
func TestFlags(t *testing.T) {
	c := newCaller(t, wasi.Config{})
	testfiles.Write(t, filepath.Join(c.dir, "f"), "text")
	const bad = bindings.FilesystemErrorCodeBadDescriptor
	for _, flags := range []bindings.DescriptorFlags{0, readFlag, writeFlag, readFlag | writeFlag} {
		d := c.mustOpen("f", 0, flags)
		if flags == 0 {
			flags = readFlag // a file that is opened for nothing can be read
		}
		want := func(flag bindings.DescriptorFlags) error {
			if flags&flag != 0 {
				return nil
			}
			return bad
		}
		if got, err := d.GetFlags(c.ctx); got != flags || err != nil {
			t.Errorf("get-flags: %b, %v, want %b", got, err, flags)
		}
		_, err := d.Read(c.ctx, 1, 0)
		c.want("read", err, want(readFlag))
		_, err = d.ReadViaStream(c.ctx, 0)
		c.want("read-via-stream", err, want(readFlag))
		_, err = d.Write(c.ctx, []byte("T"), 0)
		c.want("write", err, want(writeFlag))
		_, err = d.WriteViaStream(c.ctx, 0)
		c.want("write-via-stream", err, want(writeFlag))
		_, err = d.AppendViaStream(c.ctx)
		c.want("append-via-stream", err, want(writeFlag))
		c.want("set-size", d.SetSize(c.ctx, 4), want(writeFlag))
		c.want("sync", d.Sync(c.ctx), nil)
		c.want("sync-data", d.SyncData(c.ctx), nil)
		if kind, err := d.GetType(c.ctx); kind != bindings.DescriptorTypeRegularFile || err != nil {
			t.Errorf("get-type: %v, %v", kind, err)
		}
		_, err = d.ReadDirectory(c.ctx)
		c.want("read-directory of a file", err, bindings.FilesystemErrorCodeNotDirectory)
		_, err = d.StatAt(c.ctx, 0, "x")
		c.want("stat-at below a file", err, bindings.FilesystemErrorCodeNotDirectory)
	}
	root := c.root()
	_, err := root.ReadViaStream(c.ctx, 0)
	c.want("read-via-stream of a directory", err, bad)
	_, err = root.Write(c.ctx, nil, 0)
	c.want("write of a directory", err, bad)
	c.want("advise of a directory", root.Advise(c.ctx, 0, 0, bindings.AdviceNormal), bad)
	c.want("sync of a directory", root.Sync(c.ctx), nil)
}

// TestTimesAndSizes sets them and reads them back.
func TestTimesAndSizes(t *testing.T) {
	c := newCaller(t, wasi.Config{})
	testfiles.Write(t, filepath.Join(c.dir, "f"), "text")
	d := c.mustOpen("f", 0, readFlag|writeFlag)
	at := func(s uint64, ns uint32) bindings.NewTimestamp {
		return bindings.NewTimestamp{Case: bindings.NewTimestampTimestamp, Timestamp: bindings.Datetime{Seconds: s, Nanoseconds: ns}}
	}
	keep, now := bindings.NewTimestamp{}, bindings.NewTimestamp{Case: bindings.NewTimestampNow}
	c.want("set-times", d.SetTimes(c.ctx, at(5, 6), at(7, 8)), nil)
	c.want("set-times", d.SetTimes(c.ctx, keep, keep), nil)
	st := must[bindings.DescriptorStat](t)(d.Stat(c.ctx))
	if st.DataAccessTimestamp.Value != at(5, 6).Timestamp || st.DataModificationTimestamp.Value != at(7, 8).Timestamp {
		t.Errorf("times are %v and %v", st.DataAccessTimestamp, st.DataModificationTimestamp)
	}
	if st.Size != 4 || st.LinkCount != 1 || st.Type != bindings.DescriptorTypeRegularFile || !st.StatusChangeTimestamp.Is {
		t.Errorf("stat: %+v", st)
	}
	root := c.root()
	c.want("set-times-at", root.SetTimesAt(c.ctx, 0, "f", now, at(9, 0)), nil)
	st = must[bindings.DescriptorStat](t)(root.StatAt(c.ctx, 0, "f"))
	if age := time.Since(time.Unix(int64(st.DataAccessTimestamp.Value.Seconds), 0)); age > time.Hour || st.DataModificationTimestamp.Value.Seconds != 9 {
		t.Errorf("stat-at: %+v", st)
	}
	for _, wrong := range []bindings.NewTimestamp{at(0, 1e9), at(math.MaxUint64, math.MaxUint32)} {
		c.want("set-times", d.SetTimes(c.ctx, wrong, keep), bindings.FilesystemErrorCodeInvalid)
		c.want("set-times-at", root.SetTimesAt(c.ctx, 0, "f", keep, wrong), bindings.FilesystemErrorCodeInvalid)
	}
	c.want("set-times of a directory", root.SetTimes(c.ctx, now, now), nil)
	c.want("set-size", d.SetSize(c.ctx, 2), nil)
	if got := c.content("f"); got != "te" {
		t.Errorf("the file has %q", got)
	}
}

// TestHashesTellFilesApart compares hashes and objects.
func TestHashesTellFilesApart(t *testing.T) {
	c := newCaller(t, wasi.Config{})
	testfiles.Write(t, filepath.Join(c.dir, "a"), "a")
	testfiles.Write(t, filepath.Join(c.dir, "b"), "b")
	root := c.root()
	a, b, again := c.mustOpen("a", 0, readFlag|writeFlag), c.mustOpen("b", 0, readFlag), c.mustOpen("a", 0, readFlag)
	hash := must[bindings.MetadataHashValue](t)(a.MetadataHash(c.ctx))
	_, err := a.Write(c.ctx, []byte("more"), 0)
	c.want("write", err, nil)
	if other := must[bindings.MetadataHashValue](t)(root.MetadataHashAt(c.ctx, 0, "a")); other != hash {
		t.Errorf("the hash of one file is %x and %x", hash, other)
	}
	if other := must[bindings.MetadataHashValue](t)(b.MetadataHash(c.ctx)); other.Lower == hash.Lower || other.Upper == hash.Upper {
		t.Errorf("two files have the hash %x", hash)
	}
	if same, err := a.IsSameObject(c.ctx, again); !same || err != nil {
		t.Errorf("is-same-object of one file: %v, %v", same, err)
	}
	if same, err := a.IsSameObject(c.ctx, b); same || err != nil {
		t.Errorf("is-same-object of two files: %v, %v", same, err)
	}
	_, err = root.MetadataHashAt(c.ctx, 0, "missing")
	c.want("metadata-hash-at", err, bindings.FilesystemErrorCodeNoEntry)
}

// TestDropsInAnyOrder drops what streams and pollables come from before them.
func TestDropsInAnyOrder(t *testing.T) {
	c := newCaller(t, wasi.Config{})
	d := c.mustOpen("f", create, readFlag|writeFlag)
	out := must[bindings.OutputStream](t)(d.WriteViaStream(c.ctx, 0))
	in := must[bindings.InputStream](t)(d.ReadViaStream(c.ctx, 0))
	p := must[bindings.Pollable](t)(in.Subscribe(c.ctx))
	q := must[bindings.Pollable](t)(out.Subscribe(c.ctx))
	d.Drop()
	c.want("write after the descriptor was dropped", write(c.ctx, out, "text"), nil)
	out.Drop()
	if got := c.all(in); got != "text" {
		t.Errorf("read %q", got)
	}
	in.Drop()
	ready := must[[]uint32](t)(c.b.Poll.Poll(c.ctx, []bindings.Pollable{p, q, p}))
	if len(ready) != 3 {
		t.Errorf("ready are %v, want all", ready)
	}
	p.Drop()
	q.Drop()
	root := c.root()
	list := must[bindings.DirectoryEntryStream](t)(root.ReadDirectory(c.ctx))
	root.Drop()
	if e, err := list.ReadDirectoryEntry(c.ctx); err != nil || e.Value.Name != "f" {
		t.Errorf("entry %v, %v", e, err)
	}
	list.Drop()
	c.held()
}

// TestPipes reads and writes a FIFO: it waits, and says when it is ready.
func TestPipes(t *testing.T) {
	c := newCaller(t, wasi.Config{})
	if err := unix.Mkfifo(filepath.Join(c.dir, "fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := c.mustOpen("fifo", 0, readFlag)
	in := must[bindings.InputStream](t)(r.ReadViaStream(c.ctx, 0))
	r.Drop()
	w := c.mustOpen("fifo", 0, writeFlag)
	out := must[bindings.OutputStream](t)(w.WriteViaStream(c.ctx, 77))
	w.Drop()
	readable := must[bindings.Pollable](t)(in.Subscribe(c.ctx))
	writable := must[bindings.Pollable](t)(out.Subscribe(c.ctx))
	if b, err := in.Read(c.ctx, 10); len(b) != 0 || err != nil {
		t.Errorf("read of an empty FIFO: %q, %v, want nothing", b, err)
	}
	if ready := must[[]uint32](t)(c.b.Poll.Poll(c.ctx, []bindings.Pollable{readable, writable})); len(ready) != 1 || ready[0] != 1 {
		t.Errorf("ready are %v, want the output", ready)
	}
	c.want("write", write(c.ctx, out, "text"), nil)
	if ready, err := readable.Ready(c.ctx); !ready || err != nil {
		t.Errorf("ready: %v, %v", ready, err)
	}
	if b, err := in.BlockingRead(c.ctx, 10); string(b) != "text" || err != nil {
		t.Errorf("read: %q, %v", b, err)
	}
	filled := 0
	for {
		n := must[uint64](t)(out.CheckWrite(c.ctx))
		if n == 0 {
			break
		}
		c.want("write", out.Write(c.ctx, make([]byte, n)), nil)
		filled += int(n)
	}
	if filled == 0 || filled > 16<<20 {
		t.Errorf("the FIFO took %d bytes", filled)
	}
	if n, err := out.Splice(c.ctx, in, 100); n != 0 || err != nil {
		t.Errorf("a splice into a full FIFO moved %d bytes, %v", n, err)
	}
	if n, err := in.Skip(c.ctx, math.MaxUint64); n == 0 || err != nil {
		t.Errorf("skip: %d, %v", n, err)
	}
	c.want("block", writable.Block(c.ctx), nil)
	in.Drop()
	readable.Drop()
	if ready, err := writable.Ready(c.ctx); !ready || err != nil {
		t.Errorf("a FIFO without readers is ready: %v, %v, want it so", ready, err)
	}
	c.wantFailed("write without readers", write(c.ctx, out, "text"), bindings.FilesystemErrorCodePipe)
	out.Drop()
	writable.Drop()
}

// TestEndOfAPipe reads a FIFO to its end.
func TestEndOfAPipe(t *testing.T) {
	c := newCaller(t, wasi.Config{})
	if err := unix.Mkfifo(filepath.Join(c.dir, "fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := c.mustOpen("fifo", 0, readFlag)
	in := must[bindings.InputStream](t)(r.ReadViaStream(c.ctx, 0))
	r.Drop()
	w := c.mustOpen("fifo", 0, writeFlag)
	out := must[bindings.OutputStream](t)(w.AppendViaStream(c.ctx))
	w.Drop()
	c.want("write", out.BlockingWriteAndFlush(c.ctx, []byte("text")), nil)
	out.Drop()
	if got := c.all(in); got != "text" {
		t.Errorf("read %q", got)
	}
	in.Drop()
	c.held()
}

// TestDevices uses the devices that every container has.
func TestDevices(t *testing.T) {
	c := newCaller(t, wasi.Config{Mounts: []wasi.Mount{{Host: t.TempDir(), Guest: "/"}, {Host: "/dev/null", Guest: "/null"}, {Host: "/dev/zero", Guest: "/zero"}, {Host: "/dev/full", Guest: "/full"}}})
	d := c.mustOpen("null", 0, readFlag|writeFlag)
	_, err := must[bindings.InputStream](t)(d.ReadViaStream(c.ctx, 5)).Read(c.ctx, 5)
	c.want("read of null", err, errClosed)
	c.want("write to null", write(c.ctx, must[bindings.OutputStream](t)(d.AppendViaStream(c.ctx)), "x"), nil)
	zero := must[bindings.InputStream](t)(c.mustOpen("zero", 0, readFlag).ReadViaStream(c.ctx, 0))
	if b, err := zero.Read(c.ctx, 5); string(b) != "\x00\x00\x00\x00\x00" || err != nil {
		t.Errorf("read of zero: %q, %v", b, err)
	}
	full := must[bindings.OutputStream](t)(c.mustOpen("full", 0, writeFlag).WriteViaStream(c.ctx, 0))
	c.wantFailed("write to a full disk", write(c.ctx, full, "x"), bindings.FilesystemErrorCodeInsufficientSpace)
	_, err = full.CheckWrite(c.ctx)
	c.want("check-write after it", err, errClosed)
	c.want("flush after it", full.BlockingFlush(c.ctx), errClosed)
	c.want("blocking-write-and-flush after it", full.BlockingWriteAndFlush(c.ctx, []byte("x")), errClosed)
	if err := os.WriteFile(filepath.Join(c.dir, "x"), nil, 0o600); err != nil {
		t.Error(err)
	}
}
