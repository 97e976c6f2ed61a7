package world

import (
	"regexp"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/binary"
)

// runNames are the names of what a command exports.
var runNames = regexp.MustCompile(`(?s)^wasi:cli/run@0\.[23](\.(0|[1-9][0-9]*))?(\+.*)?$`)

func FuzzOf(f *testing.F) {
	for _, seed := range [][2]string{{"wasi:cli/run@0.2.3", ""}, {"wasi:cli/run@0.2", ".6"}, {"wasi:cli/run@0.3.0-rc.1", ""}, {"wasi:cli/run@0.2.0+a@b", "\x1b"}} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, name, suffix string) {
		w := Of(&binary.Component{Definitions: []binary.Definition{
			&binary.Export{Name: binary.ExternName{Name: name, VersionSuffix: suffix}, Ref: binary.Ref{Sort: binary.SortInstance}},
		}})
		if want := runNames.MatchString(name + suffix); (w.Run.Name != "") != want || w.Run.Name != "" && w.Run.Name != name {
			t.Errorf("%q with %q: %+v, want %v", name, suffix, w.Run, want)
		}
		if (w.Check() == nil) != (w.Kind() != Other) || len(w.Lines()) != 1 {
			t.Errorf("%q with %q: %v, %v, %q", name, suffix, w.Kind(), w.Check(), w.Lines())
		}
	})
}
