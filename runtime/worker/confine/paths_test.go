package confine

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestRules compares the rules for a tree of files. They must allow exactly what Config says.
func TestRules(t *testing.T) {
	top := t.TempDir()
	for _, dir := range []string{"data/config/keys", "data/modules", "data/pods", "data/workers/one", "data/workers/two", "home"} {
		if err := os.MkdirAll(filepath.Join(top, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{"data/note", "data/config/keys/key", "boot"} {
		if err := os.WriteFile(filepath.Join(top, file), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("data/config", filepath.Join(top, "link")); err != nil {
		t.Fatal(err)
	}
	const around = "boot home/new"
	const rest = "data/modules data/note data/pods/new"
	const workers = "data/workers/one data/workers/two"
	const secrets = "data/config/keys/key data/config/token"
	for _, c := range []struct {
		name                       string
		rest                       Access
		hidden, readOnly, writable string
		wantWritable, wantReadOnly string // everything else must be hidden
	}{
		{name: "one folder", hidden: "data/config", wantWritable: around + " " + rest + " " + workers},
		{name: "a link's target", hidden: "link", wantWritable: around + " " + rest + " " + workers},
		{name: "a file", hidden: "boot", wantWritable: "home/new" + " " + rest + " " + workers + " " + secrets},
		{name: "what does not exist", hidden: "data/config/token", wantWritable: around + " " + rest + " " + workers + " " + "data/config/keys/key"},
		{name: "below a file", hidden: "boot/x", wantWritable: "home/new" + " " + rest + " " + workers + " " + secrets},
		{name: "read-only", readOnly: "data", wantWritable: around, wantReadOnly: "new" + " " + rest + " " + workers + " " + secrets},
		{name: "hidden in read-only", readOnly: "data", hidden: "data/config data/workers", wantWritable: around, wantReadOnly: rest},
		{name: "its own among the hidden", hidden: "data", writable: "data/workers/one data/pods",
			wantWritable: around + " " + "data/workers/one data/pods/new"},
		{name: "writable in read-only in hidden", hidden: "data", readOnly: "data/workers", writable: "data/workers/one",
			wantWritable: around + " " + "data/workers/one", wantReadOnly: "data/workers/two"},
		{name: "the stricter wins", hidden: "home", writable: "home data", wantWritable: "boot" + " " + rest + " " + workers + " " + secrets},
		{name: "all but one hidden", rest: Hidden, writable: "data/pods", wantWritable: "data/pods/new"},
		{name: "all but one read-only", rest: ReadOnly, writable: "data/pods", hidden: "data/config",
			wantWritable: "data/pods/new", wantReadOnly: around + " " + "data/modules data/note" + " " + workers},
	} {
		t.Run(c.name, func(t *testing.T) {
			paths := func(list string) (all []string) {
				for name := range strings.FieldsSeq(list) {
					all = append(all, filepath.Join(top, name))
				}
				return all
			}
			tree, err := pathTree(&Config{Rest: c.rest, Hidden: paths(c.hidden), ReadOnly: paths(c.readOnly), Writable: paths(c.writable)})
			if err != nil {
				t.Fatal(err)
			}
			rules, err := tree.rules()
			if err != nil {
				t.Fatal(err)
			}
			want, got := make(map[string]Access), make(map[string]Access)
			for _, name := range strings.Fields("new " + around + " " + rest + " " + workers + " " + secrets) {
				got[name], want[name] = allowed(rules, filepath.Join(top, name)), Hidden
			}
			for name := range strings.FieldsSeq(c.wantReadOnly) {
				want[name] = ReadOnly
			}
			for name := range strings.FieldsSeq(c.wantWritable) {
				want[name] = Writable
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("access (-want +got):\n%s", d)
			}
		})
	}
}

func TestConfigIsChecked(t *testing.T) {
	for _, c := range []Config{{Hidden: []string{"etc"}}, {Writable: []string{""}}, {Rest: 7}} {
		if _, err := Apply(c); err == nil {
			t.Errorf("%+v is taken", c)
			os.Exit(1) // this process is now confined
		}
	}
}

// allowed is the access from all rules together.
func allowed(rules []rule, path string) Access {
	found := Hidden
	for _, r := range rules {
		if below := strings.TrimSuffix(r.path, "/") + "/"; r.path == path || strings.HasPrefix(path, below) {
			found = min(found, r.access)
		}
	}
	return found
}
