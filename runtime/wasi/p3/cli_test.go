package p3_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
)

func TestEnvironment(t *testing.T) {
	g := newGuest(t, wasi.Config{Args: []string{"program", "a b"}, Env: []string{"A=1", "B="}, WorkDir: "/work"})
	g.call("get-arguments", addrResult)
	list := g.u32(addrResult)
	if n := g.u32(addrResult + 4); n != 2 || g.text(list) != "program" || g.text(list+8) != "a b" {
		t.Errorf("%d arguments: %q, %q", n, g.text(list), g.text(list+8))
	}
	g.call("get-environment", addrResult)
	list, got := g.u32(addrResult), ""
	for i := range g.u32(addrResult + 4) {
		got += g.text(list+16*i) + "=" + g.text(list+16*i+8) + ";"
	}
	if got != "A=1;B=;PWD=/work;" {
		t.Errorf("environment %q", got)
	}
	g.call("get-initial-cwd", addrResult)
	if g.get(addrResult, 1)[0] != 1 || g.text(addrResult+4) != "/work" {
		t.Errorf("working directory %q", g.text(addrResult+4))
	}
	other := newGuest(t, wasi.Config{})
	other.call("get-initial-cwd", addrResult)
	other.call("get-environment", addrResult+16)
	if other.get(addrResult, 1)[0] != 0 || other.u32(addrResult+20) != 0 {
		t.Error("a guest without a working directory has one")
	}
	g.call("get-terminal-stdout", addrResult)
	if g.get(addrResult, 1)[0] != 0 {
		t.Error("standard output is a terminal")
	}
}

func TestExit(t *testing.T) {
	for _, test := range []struct {
		name   string
		status int
		want   uint32
	}{{"exit", 0, 0}, {"exit", 1, 1}, {"exit-with-code", 0, 0}, {"exit-with-code", 77, 77}} {
		g := newGuest(t, wasi.Config{})
		_, err := g.try(test.name, test.status)
		if exit := (*wasi.ExitError)(nil); !errors.As(err, &exit) || exit.Code != test.want {
			t.Errorf("%s(%d): %v, want exit code %d", test.name, test.status, err, test.want)
		}
	}
}

func TestClocks(t *testing.T) {
	g := newGuest(t, wasi.Config{})
	began := g.call("now")
	g.call("wait-for", int(time.Millisecond))
	g.call("wait-until", began)
	g.call("wait-for", 0)
	between := g.call("now")
	g.call("wait-until", between+int(time.Millisecond))
	if end := g.call("now"); between-began < int(time.Millisecond) || end-between < int(time.Millisecond) {
		t.Errorf("the clock says %d, %d, %d, with a millisecond between each", began, between, end)
	}
	if g.call("get-resolution") != 1 {
		t.Error("the resolution is not a nanosecond")
	}
	before := time.Now()
	g.call("system-now", addrResult)
	if now := time.Unix(int64(g.u64(addrResult)), int64(g.u32(addrResult+8))); now.Before(before) || now.After(time.Now()) {
		t.Errorf("the clock says %s, it is %s", now, before)
	}
	g.call("iana-id", addrResult)
	g.call("utc-offset", 0, 0, addrResult+32)
	g.call("to-debug-string", addrResult+64)
	if g.text(addrResult+4) != "UTC" || g.u64(addrResult+40) != 0 || g.text(addrResult+64) != "UTC" {
		t.Error("the time zone is not UTC")
	}
}

// TestTimers has several times pass out of order, and one that the guest cancels.
func TestTimers(t *testing.T) {
	g := newGuest(t, wasi.Config{})
	set := g.call("set")
	start := func(d time.Duration) int {
		r := g.call("wait-for-async", int(d))
		if r&15 != 1 {
			t.Fatalf("wait-for of %s returned %#x, want a subtask that has started", d, r)
		}
		g.call("join", r>>4, set)
		return r >> 4
	}
	late, soon := start(20*time.Millisecond), start(time.Millisecond)
	never := start(time.Duration(1<<63 - 1))
	for _, want := range []int{soon, late} {
		if code, of, state := g.wait(set); code != 1 || of != want || state != 2 {
			t.Errorf("event %d of subtask %d in state %d, want that %d has returned", code, of, state, want)
		}
	}
	g.call("join", never, 0)
	if got := g.call("cancel", never); got != 4 {
		t.Errorf("cancelling a wait returned %d, want that it was cancelled", got)
	}
	if r := g.call("wait-for-async", 0); r != 2 {
		t.Errorf("a wait for no time returned %#x, want that it has returned", r)
	}
}

func TestRandom(t *testing.T) {
	g := newGuest(t, wasi.Config{})
	bytesOf := func(name string, n int) string {
		g.call(name, n, addrResult)
		return g.text(addrResult)
	}
	for _, name := range []string{"get-random-bytes", "get-insecure-random-bytes"} {
		if a, b := bytesOf(name, 16), bytesOf(name, 16); len(a) != 16 || a == b {
			t.Errorf("%s: %x, %x", name, a, b)
		}
		if got := bytesOf(name, 1<<40); len(got) == 0 || len(got) > 1<<16 {
			t.Errorf("%s: %d bytes for very many", name, len(got))
		}
		if got := bytesOf(name, 0); got != "" {
			t.Errorf("%s: %d bytes for none", name, len(got))
		}
	}
	if g.call("get-random-u64") == g.call("get-insecure-random-u64") {
		t.Error("two random numbers are the same")
	}
	g.call("get-insecure-seed", addrResult)
	g.call("get-insecure-seed", addrResult+16)
	if a, b := g.get(addrResult, 16), g.get(addrResult+16, 16); !bytes.Equal(a, b) || bytes.Equal(a, make([]byte, 16)) {
		t.Errorf("seeds %x, %x, want the same", a, b)
	}
}

// TestDenied has what the next versions of the host will give.
func TestDenied(t *testing.T) {
	g := newGuest(t, wasi.Config{})
	g.want(0, "tcp-create", 0)
}

func TestInput(t *testing.T) {
	text := strings.Repeat("0123456789", 20_000)
	for _, n := range []int{7, 1000, dataSize} {
		g := newGuest(t, wasi.Config{Stdin: strings.NewReader(text)})
		g.call("read-via-stream", addrResult)
		stream, future := g.ends()
		if n == 7 {
			g.some(stream, 7, text[:7*100])
		} else if got := g.all(stream, n); string(got) != text {
			t.Errorf("in reads of %d: %d bytes, want %d", n, len(got), len(text))
		}
		g.call("bytes.drop-readable", stream)
		if code := g.outcome("cli-future", future); code != fine {
			t.Errorf("in reads of %d: error %d", n, code)
		}
	}
}

// some reads a text in reads of n bytes.
func (g *guest) some(stream, n int, want string) {
	g.t.Helper()
	got := ""
	for len(got) < len(want) {
		r := g.call("bytes.read", stream, addrData, n)
		got += string(g.get(addrData, r>>4))
	}
	if got != want {
		g.t.Errorf("read %q, want %q", got, want)
	}
}

// TestInputGoesOn reads a part of the input by one stream, and the rest by the next.
func TestInputGoesOn(t *testing.T) {
	g := newGuest(t, wasi.Config{Stdin: strings.NewReader("one two")})
	g.call("read-via-stream", addrResult)
	first, _ := g.ends()
	g.some(first, 4, "one ")
	g.call("bytes.drop-readable", first)
	g.call("read-via-stream", addrResult)
	second, _ := g.ends()
	if got := g.all(second, 100); string(got) != "two" {
		t.Errorf("the second stream has %q", got)
	}
}

// TestInputFails has an input that fails, and none.
func TestInputFails(t *testing.T) {
	r, w := io.Pipe()
	_ = w.CloseWithError(errors.New("unplugged"))
	for _, test := range []struct {
		in   io.Reader
		want int
	}{{r, 0}, {nil, fine}} {
		g := newGuest(t, wasi.Config{Stdin: test.in})
		g.call("read-via-stream", addrResult)
		stream, future := g.ends()
		if got := g.all(stream, 100); len(got) != 0 {
			t.Errorf("read %q", got)
		}
		if code := g.outcome("cli-future", future); code != test.want {
			t.Errorf("error %d, want %d", code, test.want)
		}
	}
}

// TestInputComesLate has a guest do other things while it waits for its input.
func TestInputComesLate(t *testing.T) {
	stdin, keyboard := io.Pipe()
	g := newGuest(t, wasi.Config{Stdin: stdin})
	defer keyboard.Close()
	g.call("read-via-stream", addrResult)
	stream, _ := g.ends()
	if r := g.call("bytes.read-async", stream, addrData, 100); r != blocked {
		t.Fatalf("a read of an input without bytes returned %#x", r)
	}
	g.call("wait-for", int(time.Millisecond))
	g.call("now")
	go func() { _, _ = keyboard.Write([]byte("text")) }()
	if got := g.waitFor(stream); got != 4<<4|completed || string(g.get(addrData, 4)) != "text" {
		t.Errorf("the read returned %#x with %q", got, g.get(addrData, 4))
	}
	if r := g.call("bytes.read-async", stream, addrData, 0); r != blocked {
		t.Fatalf("a read of nothing returned %#x, before there is something", r)
	}
	go func() { _, _ = keyboard.Write([]byte("more")) }()
	if got := g.waitFor(stream); got != completed {
		t.Errorf("a read of nothing returned %#x", got)
	}
	if r := g.call("bytes.read", stream, addrData, 100); r != 4<<4|completed || string(g.get(addrData, 4)) != "more" {
		t.Errorf("the read returned %#x with %q", r, g.get(addrData, 4))
	}
}

// TestInputGivenUp has a guest drop its end while the input has no bytes, and while it reads.
func TestInputGivenUp(t *testing.T) {
	stdin, keyboard := io.Pipe()
	g := newGuest(t, wasi.Config{Stdin: stdin})
	defer keyboard.Close()
	for _, reads := range []bool{false, true} {
		g.call("read-via-stream", addrResult)
		stream, future := g.ends()
		if reads {
			g.call("bytes.read-async", stream, addrData, 100)
			if r := g.call("bytes.cancel-read", stream); r != cancelled {
				t.Errorf("cancelling a read returned %#x", r)
			}
		}
		g.call("bytes.drop-readable", stream)
		if code := g.outcome("cli-future", future); code != fine {
			t.Errorf("the future has error %d", code)
		}
	}
	g.call("read-via-stream", addrResult)
	stream, _ := g.ends()
	go func() { _, _ = keyboard.Write([]byte("kept")) }()
	if g.some(stream, 4, "kept"); t.Failed() {
		t.Error("bytes went to a stream that was dropped")
	}
}

// TestTwoInputs has two streams of the input wait.
func TestTwoInputs(t *testing.T) {
	stdin, keyboard := io.Pipe()
	g := newGuest(t, wasi.Config{Stdin: stdin})
	g.call("read-via-stream", addrResult)
	first, _ := g.ends()
	g.call("read-via-stream", addrResult)
	second, _ := g.ends()
	set, got := g.call("set"), 0
	for _, s := range []int{first, second} {
		g.call("bytes.read-async", s, addrData, 3)
		g.call("join", s, set)
	}
	go func() {
		_, _ = keyboard.Write([]byte("abcdef"))
		_ = keyboard.Close()
	}()
	for range 2 {
		_, _, r := g.wait(set)
		got += r >> 4
	}
	if got != 6 {
		t.Errorf("the two streams got %d bytes, want 6", got)
	}
}

func TestOutput(t *testing.T) {
	var out, problems bytes.Buffer
	g := newGuest(t, wasi.Config{Stdout: &out, Stderr: &problems})
	text := bytes.Repeat([]byte("0123456789"), 20_000)
	for _, to := range []struct {
		name string
		got  *bytes.Buffer
	}{{"stdout", &out}, {"stderr", &problems}} {
		r, w := g.pair()
		future := g.call(to.name, r)
		if sent := g.send(w, text); sent != len(text) || !bytes.Equal(to.got.Bytes(), text) {
			t.Errorf("%s: the host took %d bytes, and has %d", to.name, sent, to.got.Len())
		}
		g.call("bytes.drop-writable", w)
		if code := g.outcome("cli-future", future); code != fine {
			t.Errorf("%s: error %d", to.name, code)
		}
	}
	discards := newGuest(t, wasi.Config{})
	r, w := discards.pair()
	discards.call("stdout", r)
	if sent := discards.send(w, text); sent != len(text) {
		t.Errorf("without an output the host took %d bytes", sent)
	}
}

type brokenWriter struct{ err error }

func (b brokenWriter) Write([]byte) (int, error) { return 0, b.err }

func TestOutputFails(t *testing.T) {
	for _, test := range []struct {
		err  error
		want int
	}{{wasi.ErrPipe, 2}, {io.ErrUnexpectedEOF, 0}} {
		g := newGuest(t, wasi.Config{Stdout: brokenWriter{test.err}})
		r, w := g.pair()
		future := g.call("stdout", r)
		g.send(w, []byte("text"))
		if code := g.outcome("cli-future", future); code != test.want {
			t.Errorf("%v: error %d, want %d", test.err, code, test.want)
		}
	}
}

// TestOutputRate has the log's rate hold back a guest's writes, but not what else the guest does.
func TestOutputRate(t *testing.T) {
	var out bytes.Buffer
	const rate = 100_000
	g := newGuest(t, wasi.Config{Stdout: &out, OutputRate: rate})
	r, w := g.pair()
	g.call("stdout", r)
	began := time.Now()
	if sent := g.send(w, make([]byte, rate)); sent != rate || time.Since(began) > time.Second {
		t.Errorf("the first %d bytes took %s", sent, time.Since(began))
	}
	at, n := g.put(make([]byte, rate/2))
	if r := g.call("bytes.write-async", w, at, n); r != blocked || out.Len() > rate+rate/5 {
		t.Errorf("a write above the rate returned %#x, and the host has %d bytes", r, out.Len())
	}
	g.call("now")
	sent := g.waitFor(w) >> 4
	sent += g.send(w, make([]byte, n-sent))
	if took := time.Since(began); sent != n || took < 300*time.Millisecond {
		t.Errorf("half the bytes of a second above the rate took %s", took)
	}
}

// TestHostToHost gives the host's input to the host's output: the guest only waits.
func TestHostToHost(t *testing.T) {
	var out bytes.Buffer
	text := strings.Repeat("0123456789", 500_000)
	g := newGuest(t, wasi.Config{Stdin: strings.NewReader(text), Stdout: &out})
	g.call("read-via-stream", addrResult)
	stream, in := g.ends()
	future := g.call("stdout", stream)
	if a, b := g.outcome("cli-future", future), g.outcome("cli-future", in); a != fine || b != fine || out.String() != text {
		t.Errorf("errors %d and %d, %d bytes, want %d", a, b, out.Len(), len(text))
	}
}

// TestQuiesce ends the input of a guest that waits for it.
func TestQuiesce(t *testing.T) {
	stdin, keyboard := io.Pipe()
	defer keyboard.Close()
	g := newGuest(t, wasi.Config{Stdin: stdin})
	g.call("read-via-stream", addrResult)
	stream, future := g.ends()
	g.call("bytes.read-async", stream, addrData, 100)
	go g.of.Quiesce()
	if r := g.waitFor(stream); r != dropped {
		t.Errorf("the read returned %#x, want the end", r)
	}
	if code := g.outcome("cli-future", future); code != fine {
		t.Errorf("error %d", code)
	}
}
