package command_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/hack/componentengine"
	"github.com/krustlet-go/krustlet-wasi/hack/guests"
	"github.com/krustlet-go/krustlet-wasi/hack/testfiles"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/command"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
)

// TestConfiguration runs a component that logs its configuration: each run sees the folder as it
// is.
func TestConfiguration(t *testing.T) {
	file, err := os.ReadFile(guests.Component(t, "config"))
	if err != nil {
		t.Fatal(err)
	}
	p, err := command.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	engine, err := componentengine.New(p.Plan())
	if err != nil {
		t.Fatal(err)
	}
	run := func(folders ...string) string {
		t.Helper()
		var out bytes.Buffer
		h, err := command.NewHost(t.Context(), wasi.Config{
			Env: []string{"color=red", "MOTTO=two\nlines"}, ConfigFolders: folders, Stderr: &out,
			Mounts: []wasi.Mount{{Host: t.TempDir(), Guest: "/"}},
		}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Run(t.Context(), engine, h, func() {}); err != nil {
			t.Error(err)
		}
		if err := h.Close(); err != nil {
			t.Error(err)
		}
		return out.String()
	}
	dir := t.TempDir()
	color := filepath.Join(dir, "color")
	want := "INFO color: red\nWARN absent: none\nDEBUG MOTTO: two\\nlines\nDEBUG color: red\n"
	if got := run(); got != want {
		t.Errorf("with variables: %q, want %q", got, want)
	}
	testfiles.Write(t, color, "blue")
	if got, want := run(dir), strings.ReplaceAll(want, "red", "blue"); got != want {
		t.Errorf("with a folder: %q, want %q", got, want)
	}
	testfiles.Write(t, color, "\xff")
	const upstream = "ERROR upstream: reading the value of \"color\": it is not UTF-8\n"
	if got, want := run(dir), upstream+"WARN absent: none\n"+upstream; got != want {
		t.Errorf("with a file that is not UTF-8: %q, want %q", got, want)
	}
	if got := run(filepath.Join(dir, "none")); strings.Count(got, "ERROR io: ") != 3 || strings.Contains(got, dir) {
		t.Errorf("with a folder that is not there: %q", got)
	}
}
