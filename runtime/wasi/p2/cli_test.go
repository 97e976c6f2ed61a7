package p2

import (
	"errors"
	"math"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/typed"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/p2/bindings"
)

var _ bindings.Guest = (*Host)(nil)

// TestNothingIsMissing holds the host to the interfaces.
func TestNothingIsMissing(t *testing.T) {
	c := newCaller(t, wasi.Config{})
	if missing := c.b.Lacks(); len(missing) > 0 {
		t.Errorf("the host lacks %v", missing)
	}
	if c.h.Begin(nil) != c.ctx {
		t.Error("a call gets another context")
	}
}

// TestEnvironment passes arguments, variables and the working directory.
func TestEnvironment(t *testing.T) {
	for _, test := range []struct {
		cfg  wasi.Config
		want [][2]string
		cwd  typed.Option[string]
	}{
		{wasi.Config{}, [][2]string{}, typed.Option[string]{}},
		{wasi.Config{Env: []string{"A=b=c", "EMPTY="}}, [][2]string{{"A", "b=c"}, {"EMPTY", ""}}, typed.Option[string]{}},
		{wasi.Config{Env: []string{"A=b"}, WorkDir: "/work"}, [][2]string{{"A", "b"}, {"PWD", "/work"}}, typed.Some("/work")},
		{wasi.Config{Env: []string{"PWD=/x"}, WorkDir: "/work"}, [][2]string{{"PWD", "/x"}}, typed.Some("/work")},
	} {
		test.cfg.Args = []string{"program", "", "-x"}
		c := newCaller(t, test.cfg)
		if got, err := c.b.Environment.GetEnvironment(c.ctx); err != nil || !reflect.DeepEqual(got, test.want) {
			t.Errorf("get-environment: %q, %v, want %q", got, err, test.want)
		}
		if got, err := c.b.Environment.GetArguments(c.ctx); err != nil || !slices.Equal(got, test.cfg.Args) {
			t.Errorf("get-arguments: %q, %v", got, err)
		}
		if got, err := c.b.Environment.InitialCwd(c.ctx); err != nil || got != test.cwd {
			t.Errorf("initial-cwd: %v, %v, want %v", got, err, test.cwd)
		}
	}
}

// TestExit ends the guest with each code.
func TestExit(t *testing.T) {
	c := newCaller(t, wasi.Config{})
	for want, err := range map[uint32]error{
		0:   c.b.Exit.Exit(c.ctx, typed.OK[typed.None, typed.None](typed.None{})),
		1:   c.b.Exit.Exit(c.ctx, typed.Fail[typed.None](typed.None{})),
		255: c.b.Exit.ExitWithCode(c.ctx, 255),
	} {
		var e *wasi.ExitError
		if !errors.As(err, &e) || e.Code != want {
			t.Errorf("exit: %v, want code %d", err, want)
		}
	}
}

// TestNoTerminals asks for terminals.
func TestNoTerminals(t *testing.T) {
	c := newCaller(t, wasi.Config{})
	in, err := c.b.TerminalStdin.GetTerminalStdin(c.ctx)
	out, errOut := c.b.TerminalStdout.GetTerminalStdout(c.ctx)
	diag, errDiag := c.b.TerminalStderr.GetTerminalStderr(c.ctx)
	if in.Is || out.Is || diag.Is || errors.Join(err, errOut, errDiag) != nil {
		t.Errorf("terminals: %v %v %v", in, out, diag)
	}
}

// TestClocks reads the clocks.
func TestClocks(t *testing.T) {
	c := newCaller(t, wasi.Config{Env: []string{"TZ=Asia/Tokyo"}})
	before := time.Now()
	wall := must[bindings.Datetime](t)(c.b.WallClock.Now(c.ctx))
	if got := time.Unix(int64(wall.Seconds), int64(wall.Nanoseconds)); got.Before(before.Round(0)) || got.After(time.Now()) {
		t.Errorf("the wall clock says %v", got)
	}
	if r, err := c.b.WallClock.Resolution(c.ctx); err != nil || r != (bindings.Datetime{Nanoseconds: 1}) {
		t.Errorf("resolution: %v, %v", r, err)
	}
	a, b := must[uint64](t)(c.b.MonotonicClock.Now(c.ctx)), must[uint64](t)(c.b.MonotonicClock.Now(c.ctx))
	if a > b {
		t.Errorf("the monotonic clock said %d and then %d", a, b)
	}
	if r, err := c.b.MonotonicClock.Resolution(c.ctx); err != nil || r != 1 {
		t.Errorf("resolution: %v, %v", r, err)
	}
	if z, err := c.b.Timezone.Display(c.ctx, wall); err != nil || z != (bindings.TimezoneDisplay{Name: "UTC"}) {
		t.Errorf("display: %v, %v", z, err)
	}
	if o, err := c.b.Timezone.UTCOffset(c.ctx, bindings.Datetime{Seconds: math.MaxUint64, Nanoseconds: math.MaxUint32}); err != nil || o != 0 {
		t.Errorf("utc-offset: %v, %v", o, err)
	}
}

// TestRandom takes random bytes, and a seed that stays.
func TestRandom(t *testing.T) {
	c := newCaller(t, wasi.Config{})
	for _, get := range []func(n uint64) ([]byte, error){
		func(n uint64) ([]byte, error) { return c.b.Random.GetRandomBytes(c.ctx, n) },
		func(n uint64) ([]byte, error) { return c.b.Insecure.GetInsecureRandomBytes(c.ctx, n) },
	} {
		for _, n := range []uint64{0, 1, 32, wasi.KeptScratch, wasi.KeptScratch + 1, maxRandom} {
			if b, err := get(n); err != nil || uint64(len(b)) != n {
				t.Errorf("%d random bytes: %d, %v", n, len(b), err)
			}
		}
		a := slices.Clone(must[[]byte](t)(get(32)))
		if b := must[[]byte](t)(get(32)); slices.Equal(a, b) {
			t.Errorf("random bytes are twice %x", a)
		}
		for _, n := range []uint64{maxRandom + 1, math.MaxUint64} {
			_, err := get(n)
			c.want("random bytes", err, errRandom)
		}
	}
	if a, b := must[uint64](t)(c.b.Random.GetRandomU64(c.ctx)), must[uint64](t)(c.b.Insecure.GetInsecureRandomU64(c.ctx)); a == b {
		t.Errorf("random numbers are twice %d", a)
	}
	seed := must[[2]uint64](t)(c.b.InsecureSeed.InsecureSeed(c.ctx))
	if again := must[[2]uint64](t)(c.b.InsecureSeed.InsecureSeed(c.ctx)); again != seed {
		t.Errorf("the seed is %v and then %v", seed, again)
	}
	other := newCaller(t, wasi.Config{})
	if again := must[[2]uint64](t)(other.b.InsecureSeed.InsecureSeed(c.ctx)); again == seed {
		t.Errorf("two guests have the seed %v", seed)
	}
}

// TestNoNetwork asks for sockets and names.
func TestNoNetwork(t *testing.T) {
	c := newCaller(t, wasi.Config{})
	n := must[bindings.Network](t)(c.b.InstanceNetwork.InstanceNetwork(c.ctx))
	_, err := c.b.TCPCreateSocket.CreateTCPSocket(c.ctx, bindings.IPAddressFamilyIPv4)
	c.want("create-tcp-socket", err, bindings.NetworkErrorCodeAccessDenied)
	_, err = c.b.UDPCreateSocket.CreateUDPSocket(c.ctx, bindings.IPAddressFamilyIPv6)
	c.want("create-udp-socket", err, bindings.NetworkErrorCodeAccessDenied)
	_, err = c.b.IPNameLookup.ResolveAddresses(c.ctx, n, "example.com")
	c.want("resolve-addresses", err, bindings.NetworkErrorCodeAccessDenied)
	n.Drop()
	c.held()
}
