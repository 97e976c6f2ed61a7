package p2

import (
	"bytes"
	"errors"
	"math"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/krustlet-go/krustlet-wasi/hack/testfiles"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/p2/bindings"
)

// TestStandardOutput writes to both outputs, in all ways.
func TestStandardOutput(t *testing.T) {
	var out, err bytes.Buffer
	c := newCaller(t, wasi.Config{Stdout: &out, Stderr: &err})
	o := must[bindings.OutputStream](t)(c.b.Stdout.GetStdout(c.ctx))
	e := must[bindings.OutputStream](t)(c.b.Stderr.GetStderr(c.ctx))
	c.want("write", write(c.ctx, o, "one "), nil)
	c.want("flush", o.Flush(c.ctx), nil)
	c.want("blocking-write-and-flush", o.BlockingWriteAndFlush(c.ctx, []byte("two ")), nil)
	o.Drop()
	o = must[bindings.OutputStream](t)(c.b.Stdout.GetStdout(c.ctx))
	c.want("write after another stream was dropped", write(c.ctx, o, "three"), nil)
	c.want("blocking-write-zeroes-and-flush", e.BlockingWriteZeroesAndFlush(c.ctx, 3), nil)
	must[uint64](t)(e.CheckWrite(c.ctx))
	c.want("write-zeroes", e.WriteZeroes(c.ctx, maxWrite), nil)
	if out.String() != "one two three" {
		t.Errorf("the output is %q", out.String())
	}
	if want := string(make([]byte, maxWrite+3)); err.String() != want {
		t.Errorf("the error output has %d bytes, want %d zeroes", err.Len(), len(want))
	}
	p := must[bindings.Pollable](t)(o.Subscribe(c.ctx))
	if ready, err := p.Ready(c.ctx); !ready || err != nil {
		t.Errorf("ready: %v, %v", ready, err)
	}
	c.want("block", p.Block(c.ctx), nil)
	p.Drop()
	o.Drop()
	e.Drop()
	c.held()
}

// TestPermits writes more than was permitted: the guest traps.
func TestPermits(t *testing.T) {
	c := newCaller(t, wasi.Config{})
	o := must[bindings.OutputStream](t)(c.b.Stdout.GetStdout(c.ctx))
	c.want("write without a permit", o.Write(c.ctx, []byte("x")), errNoPermit)
	c.want("write of nothing", o.Write(c.ctx, nil), nil)
	c.want("write-zeroes without a permit", o.WriteZeroes(c.ctx, math.MaxUint64), errNoPermit)
	if n := must[uint64](t)(o.CheckWrite(c.ctx)); n != maxWrite {
		t.Errorf("check-write permits %d bytes, want %d", n, maxWrite)
	}
	c.want("write", o.Write(c.ctx, make([]byte, maxWrite-1)), nil)
	c.want("write beyond the rest", o.Write(c.ctx, make([]byte, 2)), errNoPermit)
	c.want("write of the rest", o.Write(c.ctx, make([]byte, 1)), nil)
	c.want("a large blocking write", o.BlockingWriteAndFlush(c.ctx, make([]byte, maxBlockingWrite+1)), errBlocking)
	c.want("a blocking write", o.BlockingWriteAndFlush(c.ctx, make([]byte, maxBlockingWrite)), nil)
	c.want("large blocking zeroes", o.BlockingWriteZeroesAndFlush(c.ctx, math.MaxUint64), errBlocking)
}

// broken is a writer that fails.
type broken struct{}

func (broken) Write([]byte) (int, error) {
	return 0, errors.New("/host/secret/path is gone")
}

// TestFailures has streams that fail: the error says why, without names of the host, and then the
// stream is closed.
func TestFailures(t *testing.T) {
	c := newCaller(t, wasi.Config{Stdout: broken{}, Stdin: iotest.ErrReader(errors.New("/host/secret/path is gone"))})
	o := must[bindings.OutputStream](t)(c.b.Stdout.GetStdout(c.ctx))
	in := must[bindings.InputStream](t)(c.b.Stdin.GetStdin(c.ctx))
	_, err := in.BlockingRead(c.ctx, 10)
	for what, err := range map[string]error{"write": write(c.ctx, o, "x"), "read": err} {
		var e bindings.StreamError
		if !errors.As(err, &e) || e.LastOperationFailed == nil {
			t.Fatalf("%s: %v, want last-operation-failed", what, err)
		}
		if text, err := e.LastOperationFailed.ToDebugString(c.ctx); err != nil || text != wasi.ErrIO.Error() {
			t.Errorf("%s: to-debug-string is %q, %v", what, text, err)
		}
		if code, err := c.b.Filesystem.FilesystemErrorCode(c.ctx, e.LastOperationFailed); code.Is || err != nil {
			t.Errorf("%s: the error of a standard stream has the code %v, %v", what, code, err)
		}
		if code, err := c.b.Network.NetworkErrorCode(c.ctx, e.LastOperationFailed); code.Is || err != nil {
			t.Errorf("%s: network-error-code: %v, %v", what, code, err)
		}
		if code, err := c.b.HTTP.HTTPErrorCode(c.ctx, e.LastOperationFailed); code.Is || err != nil {
			t.Errorf("%s: http-error-code: %v, %v", what, code, err)
		}
		e.LastOperationFailed.Drop()
	}
	c.want("write", write(c.ctx, o, "x"), errClosed)
	c.want("write-zeroes", o.WriteZeroes(c.ctx, 0), errClosed)
	c.want("blocking-write-zeroes-and-flush", o.BlockingWriteZeroesAndFlush(c.ctx, 1), errClosed)
	_, err = o.Splice(c.ctx, in, 1)
	c.want("splice", err, errClosed)
	_, err = o.BlockingSplice(c.ctx, in, 1)
	c.want("blocking-splice", err, errClosed)
	_, err = in.Read(c.ctx, 0)
	c.want("read", err, errClosed)
	p, q := must[bindings.Pollable](t)(o.Subscribe(c.ctx)), must[bindings.Pollable](t)(in.Subscribe(c.ctx))
	if ready := must[[]uint32](t)(c.b.Poll.Poll(c.ctx, []bindings.Pollable{p, q})); len(ready) != 2 {
		t.Errorf("ready are %v, want both", ready)
	}
}

// TestStandardInput reads an input that comes in parts, and its end.
func TestStandardInput(t *testing.T) {
	r, w := pipe(t)
	c := newCaller(t, wasi.Config{Stdin: r})
	in := must[bindings.InputStream](t)(c.b.Stdin.GetStdin(c.ctx))
	p := must[bindings.Pollable](t)(in.Subscribe(c.ctx))
	if b, err := in.Read(c.ctx, 10); len(b) != 0 || err != nil {
		t.Errorf("read of an input without bytes: %q, %v", b, err)
	}
	if ready, err := p.Ready(c.ctx); ready || err != nil {
		t.Errorf("ready: %v, %v", ready, err)
	}
	go func() {
		_, _ = w.Write([]byte("hello"))
		_ = w.Close()
	}()
	c.want("block", p.Block(c.ctx), nil)
	if b, err := in.Read(c.ctx, 2); string(b) != "he" || err != nil {
		t.Errorf("read: %q, %v", b, err)
	}
	again := must[bindings.InputStream](t)(c.b.Stdin.GetStdin(c.ctx))
	if b, err := again.BlockingRead(c.ctx, math.MaxUint64); string(b) != "llo" || err != nil {
		t.Errorf("read by another stream: %q, %v", b, err)
	}
	_, err := again.BlockingSkip(c.ctx, 10)
	c.want("skip at the end", err, errClosed)
	c.want("block at the end", p.Block(c.ctx), nil)
}

// TestSplice moves a file to a file, and to standard output.
func TestSplice(t *testing.T) {
	var out bytes.Buffer
	c := newCaller(t, wasi.Config{Stdout: &out})
	text := strings.Repeat("splice ", 30<<10)
	testfiles.Write(t, filepath.Join(c.dir, "from"), text)
	from := c.mustOpen("from", 0, readFlag)
	in := must[bindings.InputStream](t)(from.ReadViaStream(c.ctx, 0))
	to := must[bindings.OutputStream](t)(c.mustOpen("to", create, writeFlag).WriteViaStream(c.ctx, 0))
	if n, err := to.Splice(c.ctx, in, 0); n != 0 || err != nil {
		t.Errorf("splice of nothing: %d, %v", n, err)
	}
	for {
		n, err := to.Splice(c.ctx, in, math.MaxUint64)
		if errors.Is(err, errClosed) {
			break
		}
		if err != nil || n == 0 {
			t.Fatalf("splice: %d, %v", n, err)
		}
	}
	if c.content("to") != text {
		t.Error("the file differs")
	}
	o := must[bindings.OutputStream](t)(c.b.Stdout.GetStdout(c.ctx))
	in = must[bindings.InputStream](t)(from.ReadViaStream(c.ctx, 7))
	if n, err := o.BlockingSplice(c.ctx, in, 13); n != 13 || err != nil || out.String() != text[7:20] {
		t.Errorf("blocking-splice: %d, %v, %q", n, err, out.String())
	}
}

// TestBoundsOfResources opens more than a guest may hold.
func TestBoundsOfResources(t *testing.T) {
	c := newCaller(t, wasi.Config{MaxDescriptors: 10})
	d := c.mustOpen("f", create, readFlag)
	var opened []*file
	for range 20 {
		if o, err := c.open("f", 0, readFlag); err == nil {
			opened = append(opened, o)
		} else {
			c.want("open-at", err, bindings.FilesystemErrorCodeInsufficientMemory)
		}
	}
	if len(opened) != 5 { // 10 without the streams, "/" and f
		t.Errorf("the guest opened %d more files, want 5", len(opened))
	}
	for _, o := range opened {
		o.Drop()
	}
	var all []bindings.InputStream
	for range bounds[streams].most {
		all = append(all, must[bindings.InputStream](t)(d.ReadViaStream(c.ctx, 0)))
	}
	_, err := d.ReadViaStream(c.ctx, 0)
	c.want("read-via-stream", err, bindings.FilesystemErrorCodeInsufficientMemory)
	if _, err := c.b.Stdin.GetStdin(c.ctx); err == nil || err.Error() != "the guest holds more than 32768 streams" {
		t.Errorf("get-stdin: %v, want an error that ends the guest", err)
	}
	for _, s := range all {
		s.Drop()
	}
	d.Drop()
	c.held()
	for range 2 * bounds[rootHandles].most {
		c.root().Drop()
	}
	for range bounds[rootHandles].most {
		c.root()
	}
	if _, err := c.b.Preopens.GetDirectories(c.ctx); err == nil {
		t.Error("get-directories has no bound")
	}
}
