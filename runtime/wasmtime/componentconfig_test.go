package wasmtime

import (
	"path/filepath"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/hack/guests"
	"github.com/krustlet-go/krustlet-wasi/hack/testfiles"
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// TestConfigurationOfComponents: a component finds its environment and its folders of values, and
// logs to standard error.
func TestConfigurationOfComponents(t *testing.T) {
	dir := t.TempDir()
	testfiles.Write(t, filepath.Join(dir, "color"), "blue")
	spec := runtime.Spec{Env: []string{"color=red", "SIZE=3"}, ConfigFolders: []string{dir}}
	r := start(t, newEngine(t), guests.Component(t, "config"), spec)
	exit := r.wait()
	const want = "INFO color: blue\nWARN absent: none\nDEBUG SIZE: 3\nDEBUG color: blue\n"
	if out, errs := r.screen.text(); exit.Code != 0 || out != "" || errs != want {
		t.Errorf("exit %+v, stdout %q, stderr %q, want %q", exit, out, errs, want)
	}
}
