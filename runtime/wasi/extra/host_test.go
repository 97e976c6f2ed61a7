package extra_test

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/hack/testfiles"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/config"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/extra"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/extra/bindings"
)

func host(t *testing.T, cfg wasi.Config) (*bindings.Host, *wasi.Guest) {
	t.Helper()
	cfg.Mounts, cfg.Confined = []wasi.Mount{{Host: t.TempDir(), Guest: "/"}}, true
	g, err := wasi.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(g.CloseInitial(), g.Close()); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return extra.New(g, config.New(cfg.Env, cfg.ConfigFolders)).WASIExtra(), g
}

func TestNothingLacks(t *testing.T) {
	if h, _ := host(t, wasi.Config{}); len(h.Lacks()) > 0 {
		t.Errorf("the host lacks %q", h.Lacks())
	}
}

func TestStore(t *testing.T) {
	dir := t.TempDir()
	testfiles.Write(t, filepath.Join(dir, "color"), "blue")
	testfiles.Write(t, filepath.Join(dir, "binary"), "\xff")
	h, _ := host(t, wasi.Config{Env: []string{"color=red", "SIZE=3"}, ConfigFolders: []string{dir}})
	for _, c := range []struct {
		key, want string
		is        bool
	}{{"color", "blue", true}, {"SIZE", "3", true}, {"size", "", false}} {
		if got, err := h.Store.Get(t.Context(), c.key); got.Value != c.want || got.Is != c.is || err != nil {
			t.Errorf("%s: %v, %v", c.key, got, err)
		}
	}
	upstream := bindings.Error{Case: bindings.ErrorUpstream, Upstream: `reading the value of "binary": it is not UTF-8`}
	if _, err := h.Store.Get(t.Context(), "binary"); err != upstream { //nolint:errorlint // as the binding compares it
		t.Errorf("what is not UTF-8: %#v", err)
	}
	if _, err := h.Store.GetAll(t.Context()); err != upstream { //nolint:errorlint // as the binding compares it
		t.Errorf("all with what is not UTF-8: %#v", err)
	}
	testfiles.Write(t, filepath.Join(dir, "binary"), "text")
	all, err := h.Store.GetAll(t.Context())
	if want := [][2]string{{"SIZE", "3"}, {"binary", "text"}, {"color", "blue"}}; err != nil || !slices.Equal(all, want) {
		t.Errorf("all after a change: %q, %v", all, err)
	}
	killed, kill := context.WithCancel(t.Context())
	kill()
	if _, err := h.Store.GetAll(killed); !errors.Is(err, wasi.ErrKilled) {
		t.Errorf("after a kill: %v", err)
	}
	h, _ = host(t, wasi.Config{ConfigFolders: []string{filepath.Join(dir, "none")}})
	var fault bindings.Error
	if _, err := h.Store.Get(t.Context(), "x"); !errors.As(err, &fault) || fault.Case != bindings.ErrorIO || strings.Contains(fault.IO, dir) {
		t.Errorf("a folder that is not there: %#v", err)
	}
}

func TestLog(t *testing.T) {
	for _, c := range []struct {
		level            bindings.Level
		context, message string
		want             string
	}{
		{bindings.LevelTrace, "ctx", "text", "TRACE ctx: text\n"},
		{bindings.LevelDebug, "", "text", "DEBUG text\n"},
		{bindings.LevelInfo, "a b", "", "INFO a b: \n"},
		{bindings.LevelWarn, "größe", "日本語\t😀", "WARN größe: 日本語\t😀\n"},
		{bindings.LevelError, "x", "first\nsecond\r\n", `ERROR x: first\nsecond\r\n` + "\n"},
		{bindings.LevelCritical, "x\nERROR y: forged", "\x00\x1b[2K\u0085\u2028\u2029\x7f", `CRITICAL x\nERROR y: forged: \u{0}\u{1b}[2K\u{85}\u{2028}\u{2029}\u{7f}` + "\n"},
		{bindings.LevelInfo, "json", `{"a":"b\nc"}`, `INFO json: {"a":"b\nc"}` + "\n"},
	} {
		var out, other bytes.Buffer
		h, _ := host(t, wasi.Config{Stderr: &out, Stdout: &other})
		if err := h.Logging.Log(t.Context(), c.level, c.context, c.message); err != nil || out.String() != c.want || other.Len() > 0 {
			t.Errorf("%q: %q, %v, want %q", c.message, out.String(), err, c.want)
		}
	}
}

// TestLongLog: however long the context and the message are, a line has a bound and says what it
// lacks.
func TestLongLog(t *testing.T) {
	var out bytes.Buffer
	h, _ := host(t, wasi.Config{Stderr: &out})
	for _, unit := range []string{"x", "é", "\n", "\u2028"} {
		for _, n := range []int{1000, 30_000, 33_000, 1 << 20} {
			for _, origin := range []string{"", "ctx", strings.Repeat(unit, n)} {
				out.Reset()
				message := strings.Repeat(unit, n)
				if err := h.Logging.Log(t.Context(), bindings.LevelCritical, origin, message); err != nil {
					t.Fatal(err)
				}
				line := out.String()
				cut := strings.HasSuffix(line, " bytes left out)\n")
				if len(line) > 32<<10 || strings.Count(line, "\n") != 1 || !strings.HasSuffix(line, "\n") || !cut && n > 32<<10 || cut && n <= 1000 {
					t.Errorf("%d times %q in %.20q: a line of %d bytes with the end %q", n, unit, origin, len(line), line[max(0, len(line)-40):])
				}
			}
		}
	}
}

// TestLogBeside: messages are lines of their own in what else the guest writes, and a writer that
// fails does not end the guest.
func TestLogBeside(t *testing.T) {
	var out bytes.Buffer
	h, g := host(t, wasi.Config{Stderr: &out})
	if _, err := g.Stderr().Write(t.Context(), [][]byte{[]byte("partial")}); err != nil {
		t.Fatal(err)
	}
	if err := h.Logging.Log(t.Context(), bindings.LevelInfo, "a", "b"); err != nil || out.String() != "partial\nINFO a: b\n" {
		t.Errorf("%q, %v", out.String(), err)
	}
	killed, kill := context.WithCancel(t.Context())
	kill()
	if err := h.Logging.Log(killed, bindings.LevelInfo, "a", "b"); !errors.Is(err, wasi.ErrKilled) {
		t.Errorf("after a kill: %v", err)
	}
	h, _ = host(t, wasi.Config{Stderr: failing{}})
	if err := h.Logging.Log(t.Context(), bindings.LevelInfo, "a", "b"); err != nil {
		t.Errorf("with a writer that fails: %v", err)
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errors.New("full") }
