package p3_test

import (
	"context"
	"encoding/binary"
	"errors"

	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/krustlet-go/krustlet-wasi/hack/componentengine"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/canon"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/instance"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/link"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/typed"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/validate"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/p3"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/p3/bindings"
)

// loaded is the component of world, which all tests share.
var loaded = sync.OnceValues(func() (*instance.Program, *componentengine.Engine) {
	c, err := componentengine.Assemble(world())
	must(err)
	must(validate.Validate(c))
	linked, err := link.Link(c)
	must(err)
	p, err := instance.Bind(linked, typed.Tables{&bindings.Table})
	must(err)
	e, err := componentengine.New(linked.Plan)
	must(err)
	return p, e
})

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// guest is a component whose functions a test calls. Numbers are handles, and addresses in its
// memory.
type guest struct {
	t    testing.TB
	x    *instance.Instance
	host *p3.Host
	of   *wasi.Guest
	ctx  context.Context //nolint:containedctx // the context of a test
	kill context.CancelCauseFunc
	dir  string // of the mount at "/"
}

var errKill = errors.New("the test kills the guest")

// callTime is how long a call may take. They take milliseconds; with other work on the machine,
// longer.
const callTime = time.Minute

// make makes a guest, and returns what ends it.
func makeGuest(t testing.TB, cfg wasi.Config) (g *guest, end func() error) {
	t.Helper()
	if cfg.Mounts == nil {
		cfg.Mounts = []wasi.Mount{{Host: t.TempDir(), Guest: "/"}}
	}
	cfg.Confined = true
	of, err := wasi.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, kill := context.WithCancelCause(context.Background())
	host := p3.New(ctx, of)
	program, engine := loaded()
	x, err := instance.New(program, engine, host)
	if err != nil {
		t.Fatal(err)
	}
	return &guest{t, x, host, of, ctx, kill, cfg.Mounts[0].Host}, func() error {
		kill(errKill)
		x.Close()
		return errors.Join(host.Close(), of.CloseInitial(), of.Close())
	}
}

func newGuest(t testing.TB, cfg wasi.Config) *guest {
	t.Helper()
	g, end := makeGuest(t, cfg)
	t.Cleanup(func() {
		if err := end(); err != nil {
			t.Errorf("closing the guest: %v", err)
		}
	})
	return g
}

// try calls a function with core values.
func (g *guest) try(name string, args ...int) (result uint64, err error) {
	f := g.x.Exports().Func(exported(name))
	if f == nil || len(f.Type.Params) != len(args) {
		g.t.Fatalf("no function %s of %d parameters", name, len(args))
	}
	ctx, stop := context.WithTimeout(g.ctx, callTime)
	defer stop()
	err = g.x.Call(ctx, f, func(to canon.Place) {
		for i, a := range args {
			if to.Field(i).Type().Size == 8 {
				to.Field(i).U64(uint64(a))
			} else {
				to.Field(i).U32(uint32(a))
			}
		}
	}, func(v canon.Value) {
		if v.Type().Size == 8 {
			result = v.U64()
		} else {
			result = uint64(v.U32())
		}
	})
	return result, err
}

// call calls a function that must not trap.
func (g *guest) call(name string, args ...int) int {
	g.t.Helper()
	r, err := g.try(name, args...)
	if err != nil {
		g.t.Fatalf("%s: %v", name, err)
	}
	return int(r)
}

// put puts bytes into the guest's memory.
func (g *guest) put(b []byte) (at, n int) {
	g.t.Helper()
	err := g.x.Call(g.ctx, g.x.Exports().Func("put"), func(to canon.Place) { to.Field(0).Bytes(b) }, func(v canon.Value) { at = int(v.U32()) })
	if err != nil {
		g.t.Fatalf("put: %v", err)
	}
	return at, len(b)
}

// get gets bytes of the guest's memory.
func (g *guest) get(at, n int) (b []byte) {
	g.t.Helper()
	err := g.x.Call(g.ctx, g.x.Exports().Func("get"), func(to canon.Place) {
		to.Field(0).U32(uint32(at))
		to.Field(1).U32(uint32(n))
	}, func(v canon.Value) { b = append(b, v.Bytes()...) })
	if err != nil {
		g.t.Fatalf("get: %v", err)
	}
	return b
}

func (g *guest) u32(at int) int { return int(binary.LittleEndian.Uint32(g.get(at, 4))) }
func (g *guest) u64(at int) int { return int(binary.LittleEndian.Uint64(g.get(at, 8))) }

// text is a string or list of bytes whose address and length lie at an address.
func (g *guest) text(at int) string { return string(g.get(g.u32(at), g.u32(at+4))) }

// Addresses in the guest's memory, below what it allocates.
const (
	addrResult = 64
	addrEvent  = 512
	addrFuture = 640
	addrData   = 4096
	dataSize   = 32 << 10
)

// Codes of wasi:filesystem.
const (
	access              = int(bindings.FilesystemErrorCodeAccess)
	badDescriptor       = int(bindings.FilesystemErrorCodeBadDescriptor)
	exist               = int(bindings.FilesystemErrorCodeExist)
	invalid             = int(bindings.FilesystemErrorCodeInvalid)
	isDirectory         = int(bindings.FilesystemErrorCodeIsDirectory)
	illegalByteSequence = int(bindings.FilesystemErrorCodeIllegalByteSequence)
	insufficientMemory  = int(bindings.FilesystemErrorCodeInsufficientMemory)
	noEntry             = int(bindings.FilesystemErrorCodeNoEntry)
	notDirectory        = int(bindings.FilesystemErrorCodeNotDirectory)
	notEmpty            = int(bindings.FilesystemErrorCodeNotEmpty)
	notPermitted        = int(bindings.FilesystemErrorCodeNotPermitted)
	readOnly            = int(bindings.FilesystemErrorCodeReadOnly)
	pipe                = int(bindings.FilesystemErrorCodePipe)
)

// fine is what stands for no error.
const fine = -1

// at calls a function whose result lies at addrResult, and returns its error code.
func (g *guest) at(name string, args ...int) int {
	g.t.Helper()
	g.call(name, append(args, addrResult)...)
	return g.code(addrResult, 0)
}

// code is the error code of a result, or fine. The payload is at an offset: of result<_,
// error-code> at 4, as the code's own payload has pointers.
func (g *guest) code(at, payload int) int {
	b := g.get(at, 16)
	if b[0] == 0 {
		return fine
	}
	if payload == 0 {
		payload = 4
	}
	return int(b[payload])
}

// want fails the test unless a function returns this code.
func (g *guest) want(code int, name string, args ...int) {
	g.t.Helper()
	if got := g.at(name, args...); got != code {
		g.t.Errorf("%s: error %d, want %d", name, got, code)
	}
}

// path puts a path, and returns the arguments for it.
func (g *guest) path(p string) []int {
	at, n := g.put([]byte(p))
	return []int{at, n}
}

// with joins arguments.
func with(parts ...any) (all []int) {
	for _, p := range parts {
		switch p := p.(type) {
		case int:
			all = append(all, p)
		case []int:
			all = append(all, p...)
		}
	}
	return all
}

// root is a handle of "/".
func (g *guest) root() int {
	g.t.Helper()
	g.call("get-directories", addrResult)
	list, n := g.u32(addrResult), g.u32(addrResult+4)
	if n != 1 || g.text(list+4) != "/" {
		g.t.Fatalf("%d directories, the first %q, want one, /", n, g.text(list+4))
	}
	return g.u32(list)
}

// Flags.
const (
	read, write, mutate            = 1, 2, 1 << 5
	create, onlyDirectory, exclude = 1, 2, 4
	truncate                       = 8
	follow                         = 1
)

// open opens a path below a directory.
func (g *guest) open(dir int, path string, how, flags int) (handle, code int) {
	g.t.Helper()
	code = g.at("open-at", with(dir, follow, g.path(path), how, flags)...)
	return g.u32(addrResult + 4), code
}

func (g *guest) mustOpen(dir int, path string, how, flags int) int {
	g.t.Helper()
	h, code := g.open(dir, path, how, flags)
	if code != fine {
		g.t.Fatalf("open-at %s: error %d", path, code)
	}
	return h
}

// ends are the handles of a stream and a future that a function returned at addrResult.
func (g *guest) ends() (stream, future int) { return g.u32(addrResult), g.u32(addrResult + 4) }

// Results of reads and writes of streams: how it ended is in the lower four bits.
const (
	completed = 0
	dropped   = 1
	cancelled = 2
	blocked   = 0xffff_ffff
)

// all reads a stream of bytes to its end, in reads of n bytes.
func (g *guest) all(stream, n int) (text []byte) {
	g.t.Helper()
	for {
		r := g.call("bytes.read", stream, addrData, n)
		text = append(text, g.get(addrData, r>>4)...)
		if r&15 == dropped {
			return text
		}
	}
}

// outcome reads a future, drops it, and returns its code.
func (g *guest) outcome(kind string, future int) int {
	g.t.Helper()
	g.call(kind+".read", future, addrFuture)
	g.call(kind+".drop", future)
	if kind == "cli-future" {
		return g.code(addrFuture, 1)
	}
	return g.code(addrFuture, 0)
}

// pair makes a stream: both ends.
func (g *guest) pair() (r, w int) {
	both := uint64(g.call("bytes.new"))
	return int(uint32(both)), int(both >> 32)
}

// send writes all bytes to a stream that the host reads, and returns how many it took.
func (g *guest) send(w int, b []byte) (sent int) {
	g.t.Helper()
	at, _ := g.put(b)
	for sent < len(b) {
		r := g.call("bytes.write", w, at+sent, len(b)-sent)
		sent += r >> 4
		if r&15 == dropped {
			break
		}
	}
	return sent
}

// wait waits for an event of a set, and returns its code, what it is about, and its payload.
func (g *guest) wait(set int) (code, of, payload int) {
	g.t.Helper()
	code = g.call("wait", set, addrEvent)
	return code, g.u32(addrEvent), g.u32(addrEvent + 4)
}

// waitFor has one waitable in a set, and returns the payload of its event.
func (g *guest) waitFor(waitable int) int {
	g.t.Helper()
	set := g.call("set")
	g.call("join", waitable, set)
	_, of, payload := g.wait(set)
	if of != waitable {
		g.t.Fatalf("an event of %d, want one of %d", of, waitable)
	}
	g.call("join", waitable, 0)
	return payload
}

// content is what the host has at a path below "/".
func (g *guest) content(path string) string {
	g.t.Helper()
	b, err := os.ReadFile(filepath.Join(g.dir, path))
	if err != nil {
		g.t.Error(err)
	}
	return string(b)
}
