package registry

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/krustlet-go/krustlet-wasi/hack/errorcheck"
	"github.com/krustlet-go/krustlet-wasi/hack/eventually"
	"github.com/krustlet-go/krustlet-wasi/registry/fault"
)

// fakeDisk is a disk of 1,000,000 bytes. A store's blobs take some of it, and other data takes the
// rest.
type fakeDisk struct {
	store *Store
	other int64
}

func (d *fakeDisk) usage() (size, free int64, err error) {
	size, free = 1_000_000, 1_000_000-d.other
	entries, err := os.ReadDir(d.store.blobs.dir)
	for _, e := range entries {
		if info, err := e.Info(); err == nil {
			free -= info.Size()
		}
	}
	return size, free, err
}

// gcScene is a store with images of 100,000 bytes each. They were pulled some hours ago; the first
// image is the oldest.
type gcScene struct {
	*Store
	srv     *server
	disk    *fakeDisk
	used    []string
	removed []string
	events  []string
}

func newGCScene(t *testing.T, names ...string) *gcScene {
	t.Helper()
	g := &gcScene{srv: newServer(t), Store: newStore(t, Config{})}
	g.disk = &fakeDisk{store: g.Store}
	for i, name := range names {
		g.pull(t, name, name, time.Duration(len(names)-i)*time.Hour)
	}
	return g
}

// pull pulls an image that contains the text, and gives it that age.
func (g *gcScene) pull(t *testing.T, name, text string, age time.Duration) string {
	t.Helper()
	image := g.srv.host() + "/" + name
	// The time is fixed, so that the same module makes the same image.
	if _, err := Push(t.Context(), image, wasm(text, 100_000), PushConfig{Created: time.Unix(0, 0)}); err != nil {
		t.Fatal(err)
	}
	m, err := g.pulled(t.Context(), image)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Now().Add(-age)
	rec, err := g.refs.get(m.ImageID)
	if err != nil {
		t.Fatal(err)
	}
	rec.Pulled = at
	if err := g.refs.put(rec); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{g.refs.path(m.ImageID), m.Path} {
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	return image
}

func (g *gcScene) collector(t *testing.T, change func(*CollectorConfig)) *Collector {
	t.Helper()
	cfg := CollectorConfig{
		HighPercent: 50, LowPercent: 30, MinAge: 2 * time.Minute,
		Used: func() []string { return g.used }, Disk: g.disk.usage,
		Removed: func(digest string) { g.removed = append(g.removed, digest) },
		Event:   func(reason, _ string) { g.events = append(g.events, reason) },
	}
	if change != nil {
		change(&cfg)
	}
	c, err := g.NewCollector(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// left returns the images in the store by their last names. It also checks that each is complete.
func (g *gcScene) left(t *testing.T) string {
	t.Helper()
	images, err := g.Images()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, i := range images {
		repo, _, _ := strings.Cut(i.ID, "@")
		names = append(names, repo[strings.LastIndexByte(repo, '/')+1:])
		for _, name := range append(i.Tags, i.ID) {
			m, present, err := g.found(name)
			if !present || err != nil {
				t.Errorf("%s is listed and cannot be found: %v", name, err)
				continue
			}
			if _, err := os.Stat(m.Path); err != nil {
				t.Error(err)
			}
		}
	}
	return strings.Join(names, " ")
}

func TestCollect(t *testing.T) {
	for name, tt := range map[string]struct {
		other  int64 // bytes
		used   func(host string) []string
		change func(*CollectorConfig)
		left   string
		events string
		fails  bool
	}{
		"below the threshold":           {other: 70_000, left: "a b c d"},
		"down to the lower one":         {other: 150_000, left: "d"},
		"the oldest first":              {other: 100_000, change: func(c *CollectorConfig) { c.LowPercent = 45 }, left: "b c d"},
		"a used one stays, by its tag":  {other: 150_000, used: func(h string) []string { return []string{h + "/a"} }, left: "a"},
		"not enough":                    {other: 600_000, left: "", events: "FreeDiskSpaceFailed", fails: true},
		"nothing that may go":           {other: 600_000, used: func(h string) []string { return []string{h + "/a", h + "/b", h + "/c", h + "/d:latest"} }, left: "a b c d", events: "FreeDiskSpaceFailed", fails: true},
		"none is old enough":            {other: 600_000, change: func(c *CollectorConfig) { c.MinAge = 24 * time.Hour }, left: "a b c d", events: "FreeDiskSpaceFailed", fails: true},
		"no disk":                       {change: func(c *CollectorConfig) { c.Disk = func() (int64, int64, error) { return 0, 0, nil } }, left: "a b c d", events: "InvalidDiskCapacity", fails: true},
		"a disk that cannot be read":    {change: func(c *CollectorConfig) { c.Disk = func() (int64, int64, error) { return 0, 0, errors.New("away") } }, left: "a b c d", fails: true},
		"old age, but this began later": {change: func(c *CollectorConfig) { c.MaxAge = 150 * time.Minute }, left: "a b c d"},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGCScene(t, "a", "b", "c", "d")
			g.disk.other = tt.other
			if tt.used != nil {
				g.used = tt.used(g.srv.host())
			}
			c := g.collector(t, tt.change)
			if err := c.Collect(t.Context(), false); (err != nil) != tt.fails {
				t.Errorf("error %v", err)
			}
			left := g.left(t)
			if left != tt.left {
				t.Errorf("left: %q, want %q", left, tt.left)
			}
			if got := strings.Join(g.events, " "); got != tt.events {
				t.Errorf("events %q, want %q", got, tt.events)
			}
			if gone := 4 - len(strings.Fields(left)); len(g.removed) != gone {
				t.Errorf("told of %d modules, %d are gone", len(g.removed), gone)
			}
		})
	}
}

// TestCollectAll: on a disk with room, all unused images are removed, except young ones.
func TestCollectAll(t *testing.T) {
	g := newGCScene(t, "one", "two", "three")
	g.used = []string{g.srv.host() + "/two"}
	g.pull(t, "young", "young", time.Minute)
	if err := g.collector(t, nil).CollectAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	if left := g.left(t); left != "two young" {
		t.Errorf("left are %s", left)
	}
}

func TestCollectByAge(t *testing.T) {
	g := newGCScene(t, "a", "b", "c", "d")
	g.used = []string{g.srv.host() + "/b"}
	c := g.collector(t, func(c *CollectorConfig) { c.MaxAge = 150 * time.Minute })
	c.began = time.Now().Add(-200 * time.Minute)
	if err := c.Collect(t.Context(), false); err != nil || g.left(t) != "b c d" {
		t.Errorf("left %q, %v", g.left(t), err)
	}
	// The age counts from the last use, not from the pull.
	g.used = nil
	if err := c.Collect(t.Context(), false); err != nil || g.left(t) != "b c d" {
		t.Errorf("left %q, %v", g.left(t), err)
	}
}

func TestCollectWhatIsUsedByItsID(t *testing.T) {
	g := newGCScene(t, "a", "b")
	m, _, err := g.found(g.srv.host() + "/a")
	if err != nil {
		t.Fatal(err)
	}
	g.used = []string{m.ImageID, "no reference ::", "fs//nowhere@sha256:" + zeros}
	g.disk.other = 600_000
	if err := g.collector(t, nil).Collect(t.Context(), false); err == nil {
		t.Error("there is room")
	}
	if left := g.left(t); left != "a" {
		t.Errorf("left %q", left)
	}
}

func TestCollectSharedModule(t *testing.T) {
	g := newGCScene(t)
	older := g.pull(t, "older", "same", 5*time.Hour)
	newer := g.pull(t, "newer", "same", 3*time.Hour)
	g.used = []string{newer}
	g.disk.other = 450_000
	_ = g.collector(t, nil).Collect(t.Context(), false)
	if left := g.left(t); left != "newer" || len(g.removed) != 0 {
		t.Errorf("left %q, modules gone %v", left, g.removed)
	}
	if _, err := os.Stat(g.rights.path(older)); err == nil {
		t.Error("the rights of a removed image are left")
	}
}

func TestCollectWhatNoImageNeeds(t *testing.T) {
	g := newGCScene(t, "a")
	orphan, part, running := wasm("orphan", 10), wasm("part", 10), wasm("running", 10)
	for path, content := range map[string][]byte{
		g.blobs.path(digestOf(orphan)):            orphan,
		g.blobs.path(digestOf(running)):           running,
		g.blobs.path(digestOf(part)) + partSuffix: part[:9],
	} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	g.used = []string{"fs//srv/running.wasm@" + digestOf(running)}
	c := g.collector(t, nil)
	count := func() int {
		entries, err := os.ReadDir(g.blobs.dir)
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	if err := c.Collect(t.Context(), false); err != nil || count() != 4 {
		t.Errorf("young ones: %d files, %v", count(), err)
	}
	old := time.Now().Add(-2 * orphanAge)
	files, err := filepath.Glob(filepath.Join(g.blobs.dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if err := os.Chtimes(f, old, old); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Collect(t.Context(), false); err != nil || count() != 2 || !slices.Contains(g.removed, digestOf(orphan)) {
		t.Errorf("old ones: %d files, told of %v, %v", count(), g.removed, err)
	}
}

func TestCollectPassesOverPulls(t *testing.T) {
	g := newGCScene(t, "a")
	m, _, err := g.found(g.srv.host() + "/a")
	if err != nil {
		t.Fatal(err)
	}
	release, err := g.blobs.pin(t.Context(), m.Digest)
	if err != nil {
		t.Fatal(err)
	}
	g.disk.other = 600_000
	if err := g.collector(t, nil).Collect(t.Context(), false); err == nil {
		t.Error("there is room")
	}
	if _, err := os.Stat(m.Path); err != nil {
		t.Errorf("a module that a pull has found: %v", err)
	}
	release()
	if _, err := g.blobs.pin(t.Context(), "sha256:"+zeros); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("pinned what is not there: %v", err)
	}
}

func TestCollectorRunsWhenTheDiskIsFull(t *testing.T) {
	g := newGCScene(t, "a")
	asked := make(chan struct{}, 100)
	c := g.collector(t, func(c *CollectorConfig) {
		c.Disk = func() (int64, int64, error) { asked <- struct{}{}; return g.disk.usage() }
	})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); c.Run(ctx) }()
	<-asked // twice at the start
	<-asked
	g.full <- struct{}{}
	<-asked // and long before the next check
	eventually.True(t, "the unused image is gone", func() bool {
		images, err := g.Images()
		return err == nil && len(images) == 0
	})
	cancel()
	<-ended
}

func TestCollectWhenAPullFoundNoRoom(t *testing.T) {
	g := newGCScene(t, "a", "b", "c")
	c := g.collector(t, func(c *CollectorConfig) { c.HighPercent, c.LowPercent = 95, 90 })
	if err := c.Collect(t.Context(), false); err != nil || g.left(t) != "a b c" {
		t.Errorf("left %q, %v", g.left(t), err)
	}
	// A tenth of the disk is made free, as if the disk were full.
	if err := c.Collect(t.Context(), true); err != nil || g.left(t) != "b c" || g.events != nil {
		t.Errorf("left %q, events %v, %v", g.left(t), g.events, err)
	}
	g.used = []string{g.srv.host() + "/b", g.srv.host() + "/c"}
	if err := c.Collect(t.Context(), true); err != nil || g.left(t) != "b c" || g.events != nil {
		t.Errorf("left %q, events %v, %v", g.left(t), g.events, err)
	}
}

func TestCollectorSettings(t *testing.T) {
	s := newStore(t, Config{})
	for _, cfg := range []CollectorConfig{
		{HighPercent: 101, LowPercent: 80}, {HighPercent: 85, LowPercent: -1}, {HighPercent: 80, LowPercent: 80},
		{HighPercent: 85, LowPercent: 80, MinAge: -1}, {HighPercent: 85, LowPercent: 80, MinAge: 5, MaxAge: 5},
	} {
		if _, err := s.NewCollector(cfg); err == nil {
			t.Errorf("%+v is taken", cfg)
		}
	}
	c, err := s.NewCollector(CollectorConfig{HighPercent: 85, LowPercent: 80})
	if err != nil {
		t.Fatal(err)
	}
	if size, free, err := c.cfg.Disk(); err != nil || size <= 0 || free > size {
		t.Errorf("the disk: %d of %d, %v", free, size, err)
	}
}

func TestRemove(t *testing.T) {
	g := newGCScene(t, "a", "b")
	host := g.srv.host()
	g.pull(t, "a:v2", "a", time.Hour) // the same image by another tag
	m, _, err := g.found(host + "/a")
	if err != nil {
		t.Fatal(err)
	}
	if i, err := g.Find(host + "/a:v2"); err != nil || i.ID != m.ImageID || !slices.Equal(i.Tags, []string{host + "/a:latest", host + "/a:v2"}) || i.Size != m.Size || i.Module != m.Digest {
		t.Errorf("Find: %+v, %v", i, err)
	}
	done, err := g.Remove(t.Context(), host+"/a", []string{host + "/a:v2"})
	if err != nil || !slices.Equal(done.Tags, []string{host + "/a:latest"}) || done.Images != nil {
		t.Errorf("one of two tags: %+v, %v", done, err)
	}
	if g.left(t) != "a b" {
		t.Errorf("left %q", g.left(t))
	}
	_, err = g.Remove(t.Context(), host+"/a:v2", []string{m.ImageID})
	errorcheck.Is(t, err, ErrInUse, "in use")
	if done, err = g.Remove(t.Context(), m.ImageID, nil); err != nil || done.Freed != m.Size || !slices.Equal(done.Modules, []string{m.Digest}) {
		t.Errorf("by its ID: %+v, %v", done, err)
	}
	if left := g.left(t); left != "b" {
		t.Errorf("left %q", left)
	}
	for _, image := range []string{m.ImageID, host + "/a", "fs//srv/a.wasm"} {
		_, err = g.Remove(t.Context(), image, nil)
		errorcheck.Is(t, err, fault.ErrNotFound)
		_, err = g.Find(image)
		errorcheck.Is(t, err, fault.ErrNotFound)
	}
}

func TestRemoveRootfs(t *testing.T) {
	g := newGCScene(t)
	shared := gzipLayer(t, "lib.wasm", string(wasm("lib", 50)))
	module := wasm("app", 50)
	for _, name := range []string{"one", "two"} {
		g.srv.pushImage(t, name, image(t, entrypointOf("/"+name+".wasm"), shared, gzipLayer(t, name+".wasm", string(module)+name)))
	}
	roots := map[string]Module{}
	for _, name := range []string{"one", "two"} {
		m, err := g.pulled(t.Context(), g.srv.host()+"/"+name)
		if err != nil {
			t.Fatal(err)
		}
		roots[name] = m
	}
	// This is the lock that a pull holds.
	unpin, err := lockPath(t.Context(), filepath.Dir(roots["two"].Root.Dir), unix.LOCK_SH)
	if err != nil {
		t.Fatal(err)
	}
	done, err := g.Remove(t.Context(), g.srv.host()+"/one", nil)
	if err != nil || !slices.Contains(done.Modules, roots["one"].Digest) {
		t.Errorf("removed %+v, %v", done, err)
	}
	if _, err := os.Stat(roots["one"].Root.Dir); !os.IsNotExist(err) {
		t.Errorf("the root filesystem of a removed image: %v", err)
	}
	if left := g.left(t); left != "two" {
		t.Errorf("left %q", left)
	}
	if _, err := g.Remove(t.Context(), g.srv.host()+"/two", nil); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(roots["two"].Root.Dir); err != nil {
		t.Errorf("a root filesystem that a pull has pinned: %v", err)
	}
	unpin()
	// The next sweep removes what no image needs any more.
	c := g.collector(t, func(c *CollectorConfig) { c.MinAge = 0 })
	if err := c.Collect(t.Context(), true); err != nil {
		t.Error(err)
	}
	for _, dir := range []string{g.roots.dir, g.blobs.dir} {
		if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
			t.Errorf("left in %s: %v, %v", dir, entries, err)
		}
	}
}
