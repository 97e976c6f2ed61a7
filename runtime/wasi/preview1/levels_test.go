package preview1

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/krustlet-go/krustlet-wasi/hack/testfiles"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
)

// deepest is the number of levels below a directory of the host.
func deepest(t testing.TB, dir string) (levels int) {
	t.Helper()
	if err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		rel, _ := filepath.Rel(dir, path)
		if rel != "." {
			levels = max(levels, strings.Count(rel, "/")+1)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return levels
}

// below calls a function that takes one path, below a descriptor.
func (c *caller) below(fd uint64, name, path string) error {
	p, n := c.put(addrPath, path)
	return c.call(name, fd, p, n)
}

func (c *caller) directory(fd uint64, path string) uint64 {
	c.t.Helper()
	p, n := c.put(addrPath, path)
	c.want(nil, "path_open", fd, 0, p, n, openDirectoryOnly, otherRights, otherRights|readWrite, 0, addrResult)
	return uint64(c.u32(addrResult))
}

func (c *caller) rename(fromFD uint64, from string, toFD uint64, to string) error {
	p, n := c.put(addrPath, from)
	q, m := c.put(addrPath2, to)
	return c.call("path_rename", fromFD, p, n, toFD, q, m)
}

// deepGuest has a chain of directories d/d/…, which ends some levels above the bound.
func deepGuest(t *testing.T, room int) (c *caller, root, path string) {
	t.Helper()
	root = t.TempDir()
	chain(t, root, "d", wasi.MaxLevels-room)
	return newCaller(t, wasi.Config{Mounts: []wasi.Mount{{Host: root, Guest: "/"}}}), root, strings.Repeat("d/", wasi.MaxLevels-room)
}

// docs/security.md: "links and depth are
// [bounded](conformance.md#where-the-specification-leaves-a-choice)."
func TestNothingIsMadeTooDeep(t *testing.T) {
	c, root, path := deepGuest(t, 1)
	testfiles.Write(t, filepath.Join(root, "file"), "")
	make := func(path string) map[string]error {
		results := map[string]error{"mkdir": c.one("path_create_directory", path+"dir"), "symlink": c.two("path_symlink", "x", path+"symlink"),
			"link": c.two("path_link", "file", path+"link"), "rename": c.two("path_rename", "link", path+"renamed")}
		_, results["open"] = c.open(path+"open", openCreate, readWrite, 0)
		return results
	}
	if err := c.two("path_link", "file", "link"); err != nil {
		t.Fatal(err)
	}
	for name, err := range make(path) {
		if err != nil {
			t.Errorf("at level %d: %s: %v", wasi.MaxLevels, name, err)
		}
	}
	if err := c.two("path_link", "file", "link"); err != nil {
		t.Fatal(err)
	}
	for name, err := range make(path + "dir/") {
		if err != ErrnoNametoolong {
			t.Errorf("at level %d: %s: %v", wasi.MaxLevels+1, name, err)
		}
	}
	if got := deepest(t, root); got != wasi.MaxLevels {
		t.Errorf("%d levels", got)
	}
}

// TestRenamesMakeNothingTooDeep moves chains of directories into each other. Such moves once made
// 25,000 levels.
func TestRenamesMakeNothingTooDeep(t *testing.T) {
	root := t.TempDir()
	c := newCaller(t, wasi.Config{Mounts: []wasi.Mount{{Host: root, Guest: "/"}}})
	const length = 100
	refused := 0
	for i := range 4 {
		top := fmt.Sprint("chain", i)
		c.want(nil, "path_create_directory", 3, addrPath2, func() uint64 { _, n := c.put(addrPath2, top); return n }())
		chain(t, filepath.Join(root, top), "d", length-1)
		if i == 0 {
			continue
		}
		// The existing chain is moved to the bottom of the new one.
		switch err := c.two("path_rename", "tree", top+strings.Repeat("/d", length-1)+"/t"); err {
		case nil, ErrnoNoent:
		case ErrnoNametoolong:
			refused++
			continue
		default:
			t.Fatal(err)
		}
		if err := c.two("path_rename", top, "tree"); err != nil {
			t.Fatal(err)
		}
	}
	if got := deepest(t, root); got > wasi.MaxLevels || refused == 0 {
		t.Errorf("%d levels, %d renames refused", got, refused)
	}
}

func TestRenamesThatMayBe(t *testing.T) {
	c, root, path := deepGuest(t, 10)
	chain(t, root, "low", 10)
	testfiles.Write(t, filepath.Join(root, "low/low/file"), "")
	for _, r := range []struct {
		from, to string
		want     error
	}{
		{"low/low", path + "t", nil},                             // 8 levels, moved to level 247
		{path + "t", path + "longer-name", nil},                  // on the same level
		{path + "longer-name", "low/back", nil},                  // up
		{"low", path + "t/", nil},                                // 9 levels at the 247th
		{path + "t", path[2:] + "u", nil},                        // up
		{path[2:] + "u", "low", nil},                             // up
		{"low", "low/low", ErrnoInval},                           // into itself
		{"d", "low/back/d", nil},                                 // 245 levels, moved to level 3
		{"low/back/d", "d", nil},                                 // up
		{"d", "low/back/low/low/low/low/low/low/low/low/d", nil}, // moved to level 11
		{"low/back/low/low/low/low/low/low/low/low/d", "d", nil},
		{"d/d", "d2", nil},
		{"low", "d/low", nil},
		{"d2", "d/low/back/low/low/low/low/low/low/low/low/d2", nil}, // 244 levels, moved to level 12
		{"d", "e", nil},
		{"low", "x", ErrnoNoent},
	} {
		if err := c.two("path_rename", r.from, r.to); err != r.want {
			t.Errorf("%.30s to %.30s: %v, want %v", r.from, r.to, err, r.want)
		}
	}
}

// TestMovedDirectoriesKnowTheirDepth makes directories inside a directory that was opened high up
// and then moved to the bottom.
func TestMovedDirectoriesKnowTheirDepth(t *testing.T) {
	c, root, path := deepGuest(t, 10)
	c.want(nil, "path_create_directory", 3, addrPath2, func() uint64 { _, n := c.put(addrPath2, "high"); return n }())
	high := c.directory(3, "high")
	if err := c.rename(3, "high", 3, path+"low"); err != nil { // level 247
		t.Fatal(err)
	}
	made := "x"
	for range 9 {
		if err := c.below(high, "path_create_directory", made); err != nil {
			t.Fatalf("%s: %v", made, err)
		}
		made += "/x"
	}
	if err := c.below(high, "path_create_directory", made); err != ErrnoNametoolong {
		t.Errorf("level %d: %v", wasi.MaxLevels+1, err)
	}
	// A tree of two levels does not fit below it either, because only the real depth counts, not
	// the path.
	chain(t, root, "tree", 2)
	if err := c.rename(3, "tree", high, "x/x/x/x/x/x/x/x/t"); err != ErrnoNametoolong {
		t.Errorf("a tree at the bottom: %v", err)
	}
	if err := c.rename(3, "tree", high, "x/x/x/x/x/x/x/t"); err != nil {
		t.Errorf("a tree one level higher: %v", err)
	}
	// A directory that was moved up is less deep than its path says. Its content must not move down
	// as if it were deep.
	bottom := c.directory(3, path+"low")
	if err := c.rename(3, path+"low", 3, "high"); err != nil {
		t.Fatal(err)
	}
	chain(t, filepath.Join(root, "high"), "tall", 100)
	if err := c.rename(bottom, "tall", 3, strings.Repeat("d/", 200)+"tall"); err != ErrnoNametoolong {
		t.Errorf("100 levels below 200: %v", err)
	}
	if got := deepest(t, root); got > wasi.MaxLevels {
		t.Errorf("%d levels", got)
	}
}

// TestDeepVolumes uses a volume with more levels than a guest may make.
func TestDeepVolumes(t *testing.T) {
	root := t.TempDir()
	fd := chain(t, root, "d", 400)
	if err := unix.Mkdirat(fd, "old", 0o755); err != nil {
		t.Fatal(err)
	}
	chain(t, root, "e", 400)
	c := newCaller(t, wasi.Config{Mounts: []wasi.Mount{{Host: root, Guest: "/"}}})
	path := strings.Repeat("d/", 400)
	for _, step := range []struct {
		what string
		err  error
		want error
	}{
		{"make", c.one("path_create_directory", path+"new"), ErrnoNametoolong},
		{"rename on its level", c.two("path_rename", path+"old", path+"older"), nil},
		{"rename up", c.two("path_rename", path+"older", "old"), nil},
		{"rename down", c.two("path_rename", "old", path+"old"), ErrnoNametoolong},
		{"rename the tree on its level", c.two("path_rename", "e", "f"), nil},
		{"rename the tree down", c.two("path_rename", "f", "old/f"), ErrnoNametoolong},
		{"remove", c.one("path_remove_directory", path), nil},
	} {
		if step.err != step.want {
			t.Errorf("%s: %v, want %v", step.what, step.err, step.want)
		}
	}
}

// TestMeasuringIsBounded moves wide trees down, and kills the guest at the same time.
func TestMeasuringIsBounded(t *testing.T) {
	root := t.TempDir()
	for i := range 300 {
		testfiles.Write(t, filepath.Join(root, fmt.Sprintf("wide/%d/%0100d", i%20, i)), "")
	}
	c := newCaller(t, wasi.Config{Mounts: []wasi.Mount{{Host: root, Guest: "/"}}})
	if err := c.one("path_create_directory", "low"); err != nil {
		t.Fatal(err)
	}
	before := descriptors(t)
	c.killedAfter(3)
	if err := c.two("path_rename", "wide", "low/wide"); err != wasi.ErrKilled {
		t.Errorf("a kill: %v", err)
	}
	ctx := c.killedAfter(1 << 20)
	if err := c.two("path_rename", "wide", "low/wide"); err != nil {
		t.Errorf("a wide tree: %v", err)
	}
	if entries := 300; ctx.looks < entries/16 {
		t.Errorf("%d looks at %d entries", ctx.looks, entries)
	}
	if after := descriptors(t); after > before+2 {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
}

func TestMountsAndWorkingDirectoriesAreBounded(t *testing.T) {
	root := t.TempDir()
	for _, path := range []string{"/" + strings.Repeat("d/", wasi.MaxLevels) + "d", "/" + strings.Repeat(strings.Repeat("x", wasi.MaxName)+"/", 16) + "d"} {
		for name, cfg := range map[string]wasi.Config{
			"mount":             {Mounts: []wasi.Mount{{Host: root, Guest: "/"}, {Host: t.TempDir(), Guest: path}}},
			"working directory": {Mounts: []wasi.Mount{{Host: root, Guest: "/"}}, WorkDir: path},
		} {
			if g, err := New(cfg); err == nil {
				t.Errorf("%s of %d bytes is taken", name, len(path))
				_ = g.Close()
			}
		}
	}
}

// TestNoOrderOfMovesGetsTooDeep moves directories at random. It also uses descriptors of
// directories that were moved after they were opened.
func TestNoOrderOfMovesGetsTooDeep(t *testing.T) {
	results := map[error]int{}
	for seed := range uint64(2) {
		r := rand.New(rand.NewPCG(seed, 1))
		root := t.TempDir()
		for _, name := range []string{"a", "b", "c"} {
			chain(t, root, name, 120)
		}
		c := newCaller(t, wasi.Config{Mounts: []wasi.Mount{{Host: root, Guest: "/"}}})
		open := []uint64{3}
		for i := range 60 {
			var dirs []string
			_ = filepath.WalkDir(root, func(path string, _ os.DirEntry, _ error) error {
				if rel, _ := filepath.Rel(root, path); rel != "." {
					dirs = append(dirs, rel)
				}
				return nil
			})
			pick := func() string { return dirs[r.IntN(len(dirs))] }
			top := func() string { return strings.Split(pick(), "/")[0] }
			bottom := func() string {
				return slices.MaxFunc([]string{pick(), pick(), pick()}, func(a, b string) int { return strings.Count(a, "/") - strings.Count(b, "/") })
			}
			fd, name := open[r.IntN(len(open))], fmt.Sprint(i)
			switch r.IntN(5) {
			case 0:
				open = append(open, c.directory(3, bottom()))
			case 1:
				results[c.below(fd, "path_create_directory", name)]++
			case 2:
				results[c.rename(3, top(), fd, name)]++
			case 3:
				results[c.rename(3, top(), 3, bottom()+"/"+name)]++
			case 4:
				results[c.rename(3, bottom(), 3, name)]++
			}
		}
		if got := deepest(t, root); got > wasi.MaxLevels {
			t.Errorf("seed %d: %d levels", seed, got)
		}
	}
	if results[nil] < 20 || results[ErrnoNametoolong] < 5 {
		t.Errorf("results: %v", results)
	}
}
