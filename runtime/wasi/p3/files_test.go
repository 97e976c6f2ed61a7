package p3_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/krustlet-go/krustlet-wasi/hack/testfiles"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
)

// TestPaths has the codes of functions with paths, one after another.
func TestPaths(t *testing.T) {
	dir := t.TempDir()
	testfiles.Write(t, filepath.Join(dir, "file"), "text")
	testfiles.Write(t, filepath.Join(dir, "sub", "file"), "")
	g := newGuest(t, wasi.Config{Mounts: []wasi.Mount{{Host: dir, Guest: "/"}}})
	root := g.root()
	sub := g.mustOpen(root, "sub", onlyDirectory, mutate)
	file := g.mustOpen(root, "file", 0, read)
	for _, test := range []struct {
		want int
		name string
		args []any
	}{
		{fine, "create-directory-at", []any{root, "new"}},
		{exist, "create-directory-at", []any{root, "new"}},
		{notPermitted, "create-directory-at", []any{sub, "../other"}},
		{notPermitted, "create-directory-at", []any{root, "/other"}},
		{notPermitted, "create-directory-at", []any{root, ".."}},
		{noEntry, "create-directory-at", []any{root, ""}},
		{invalid, "create-directory-at", []any{root, "a\x00b"}},
		{notDirectory, "create-directory-at", []any{file, "x"}},
		{fine, "remove-directory-at", []any{root, "new"}},
		{notEmpty, "remove-directory-at", []any{root, "sub"}},
		{notDirectory, "remove-directory-at", []any{root, "file"}},
		{invalid, "remove-directory-at", []any{root, "."}},
		{isDirectory, "unlink-file-at", []any{root, "sub"}},
		{noEntry, "unlink-file-at", []any{root, "none"}},
		{fine, "symlink-at", []any{root, "file", "link"}},
		{fine, "symlink-at", []any{root, "..", "up"}},
		{notPermitted, "symlink-at", []any{root, "/file", "absolute"}},
		{notPermitted, "stat-at", []any{root, follow, "up"}},
		{notPermitted, "stat-at", []any{root, 0, "up/file"}},
		{fine, "stat-at", []any{root, 0, "up"}},
		{fine, "stat-at", []any{root, follow, "link"}},
		{notDirectory, "stat-at", []any{file, 0, "."}},
		{fine, "readlink-at", []any{root, "link"}},
		{invalid, "readlink-at", []any{root, "file"}},
		{fine, "link-at", []any{root, 0, "file", sub, "second"}},
		{exist, "link-at", []any{root, 0, "file", sub, "second"}},
		{notDirectory, "link-at", []any{root, 0, "file", file, "third"}},
		{fine, "rename-at", []any{sub, "second", root, "moved"}},
		{noEntry, "rename-at", []any{sub, "second", root, "moved"}},
		{fine, "unlink-file-at", []any{root, "moved"}},
		{fine, "metadata-hash-at", []any{root, 0, "file"}},
		{noEntry, "metadata-hash-at", []any{root, 0, "none"}},
		{fine, "set-times-at", []any{root, 0, "file", 2, 42, 7, 0, 0, 0}},
		{invalid, "set-times-at", []any{root, 0, "file", 2, 42, unix.UTIME_NOW, 0, 0, 0}},
		{fine, "set-times", []any{file, 1, 0, 0, 2, 69, 8}},
		{invalid, "set-times", []any{file, 2, 0, 1_000_000_000, 0, 0, 0}},
		{badDescriptor, "set-size", []any{file, 1}},
		{fine, "advise", []any{file, 0, 10, 1}},
		{badDescriptor, "advise", []any{root, 0, 10, 1}},
		{fine, "sync", []any{file}},
		{fine, "sync-data", []any{root}},
		{isDirectory, "open-at", []any{root, 0, "sub", 0, write}},
		{notDirectory, "open-at", []any{root, 0, "file", onlyDirectory, read}},
		{exist, "open-at", []any{root, 0, "file", create | exclude, read}},
		{invalid, "open-at", []any{root, 0, "file", create | onlyDirectory, read}},
		{notPermitted, "open-at", []any{sub, 0, "../file", 0, read}},
		{notPermitted, "open-at", []any{root, follow, "up", 0, read}},
		{noEntry, "open-at", []any{root, 0, "none", 0, read}},
	} {
		var args []int
		for _, a := range test.args {
			switch a := a.(type) {
			case int:
				args = append(args, a)
			case string:
				args = append(args, g.path(a)...)
			}
		}
		args = append(args, addrResult)
		g.call(test.name, args...)
		payload := 0
		if strings.HasPrefix(test.name, "stat") || strings.HasPrefix(test.name, "metadata") {
			payload = 8
		}
		if got := g.code(addrResult, payload); got != test.want {
			t.Errorf("%s%v: error %d, want %d", test.name, test.args, got, test.want)
		}
		if test.name == "readlink-at" && test.want == fine && g.text(addrResult+4) != "file" {
			t.Errorf("the link leads to %q", g.text(addrResult+4))
		}
	}
	if info, err := os.Stat(filepath.Join(dir, "file")); err != nil || !info.ModTime().Equal(time.Unix(69, 8)) {
		t.Errorf("the file has %v, %v", info.ModTime(), err)
	}
}

func TestReadOnlyMount(t *testing.T) {
	dir := t.TempDir()
	testfiles.Write(t, filepath.Join(dir, "file"), "text")
	g := newGuest(t, wasi.Config{Mounts: []wasi.Mount{{Host: dir, Guest: "/", ReadOnly: true}}})
	root := g.root()
	g.want(readOnly, "create-directory-at", with(root, g.path("new"))...)
	g.want(readOnly, "unlink-file-at", with(root, g.path("file"))...)
	if _, code := g.open(root, "file", 0, write); code != readOnly {
		t.Errorf("opening to write: error %d", code)
	}
	g.want(fine, "get-flags", root)
	if got := g.u32(addrResult + 4); got != read {
		t.Errorf("flags %#x", got)
	}
}

// TestFlags has what a descriptor says of itself.
func TestFlags(t *testing.T) {
	g := newGuest(t, wasi.Config{})
	root := g.root()
	const regular, directory = 5, 2
	for _, test := range []struct {
		path             string
		how, flags, want int
		kind             int
	}{
		{"a", create | exclude, 0, read | write, regular},
		{"a", 0, 0, read, regular},
		{"a", exclude, write, write, regular},
		{"a", truncate, read, read | write, regular},
		{"b", create, write, write, regular},
		{"a", 0, read | 1<<2, read | 1<<2, regular},
		{".", 0, 0, read, directory},
		{".", 0, mutate, read | mutate, directory},
	} {
		h := g.mustOpen(root, test.path, test.how, test.flags)
		g.want(fine, "get-flags", h)
		if got := g.u32(addrResult + 4); got != test.want {
			t.Errorf("%s opened with %d, %d has flags %#x, want %#x", test.path, test.how, test.flags, got, test.want)
		}
		g.want(fine, "get-type", h)
		if got := int(g.get(addrResult+4, 1)[0]); got != test.kind {
			t.Errorf("%s is of type %d, want %d", test.path, got, test.kind)
		}
		g.call("drop", h)
	}
	g.want(fine, "get-flags", root)
	if got := g.u32(addrResult + 4); got != read|mutate {
		t.Errorf("the first directory has flags %#x", got)
	}
}

func TestStat(t *testing.T) {
	dir := t.TempDir()
	testfiles.Write(t, filepath.Join(dir, "file"), "text")
	stamp := time.Unix(1_700_000_000, 123_456_789)
	if err := os.Chtimes(filepath.Join(dir, "file"), stamp, stamp.Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	g := newGuest(t, wasi.Config{Mounts: []wasi.Mount{{Host: dir, Guest: "/"}}})
	root := g.root()
	h := g.mustOpen(root, "file", 0, read)
	g.call("stat", h, addrResult)
	// The record lies at 8: the type at 0, the number of links at 16, the size at 24, and then
	// times: whether there is one, at 8 the seconds, at 16 the nanoseconds.
	const at = addrResult + 8
	if g.u64(at+16) != 1 || g.u64(at+24) != 4 || g.u64(at+40) != int(stamp.Unix()) || g.u32(at+48) != stamp.Nanosecond() || g.u64(at+64) != int(stamp.Unix())+1 {
		t.Errorf("the file has %d links, %d bytes, times %d.%d and %d", g.u64(at+16), g.u64(at+24), g.u64(at+40), g.u32(at+48), g.u64(at+64))
	}
	other := g.mustOpen(root, "file", 0, read)
	if g.call("is-same-object", h, other) != 1 || g.call("is-same-object", h, root) != 0 {
		t.Error("the host does not know which descriptors are of the same file")
	}
	g.call("metadata-hash", h, addrResult)
	g.call("metadata-hash", other, addrResult+32)
	g.call("metadata-hash", root, addrResult+64)
	if a, b, c := g.u64(addrResult+8), g.u64(addrResult+40), g.u64(addrResult+72); a != b || a == c {
		t.Errorf("hashes %x, %x of a file, %x of a directory", a, b, c)
	}
}

// TestFileStreams writes, appends and reads.
func TestFileStreams(t *testing.T) {
	g := newGuest(t, wasi.Config{})
	root := g.root()
	h := g.mustOpen(root, "file", create, read|write)
	text := bytes.Repeat([]byte("0123456789"), 30_000)
	put := func(name string, b []byte, args ...int) {
		t.Helper()
		r, w := g.pair()
		future := g.call(name, append([]int{h, r}, args...)...)
		if sent := g.send(w, b); sent != len(b) {
			t.Errorf("%s took %d bytes, want %d", name, sent, len(b))
		}
		g.call("bytes.drop-writable", w)
		if code := g.outcome("file-future", future); code != fine {
			t.Errorf("%s: error %d", name, code)
		}
	}
	put("write-via-stream", text, 0)
	put("append-via-stream", []byte("end"))
	put("write-via-stream", []byte("begin"), 0)
	want := "begin" + string(text[5:]) + "end"
	if got := g.content("file"); got != want {
		t.Errorf("the file has %d bytes, want %d", len(got), len(want))
	}
	for _, test := range []struct{ from, n int }{{0, 1000}, {0, dataSize}, {299_990, 5}, {len(want), 10}, {1 << 40, 10}} {
		g.call("read-file", h, test.from, addrResult)
		stream, future := g.ends()
		if got := g.all(stream, test.n); string(got) != want[min(test.from, len(want)):] {
			t.Errorf("from %d in reads of %d: %d bytes", test.from, test.n, len(got))
		}
		if code := g.outcome("file-future", future); code != fine {
			t.Errorf("from %d: error %d", test.from, code)
		}
	}
}

// TestFileStreamsThatFail has streams of what cannot be read or written.
func TestFileStreamsThatFail(t *testing.T) {
	g := newGuest(t, wasi.Config{})
	root := g.root()
	onlyWrite := g.mustOpen(root, "file", create, write)
	onlyRead := g.mustOpen(root, "file", 0, read)
	for _, test := range []struct {
		h, from, want int
	}{{root, 0, badDescriptor}, {onlyWrite, 0, badDescriptor}, {onlyRead, -1, invalid}} {
		g.call("read-file", test.h, test.from, addrResult)
		stream, future := g.ends()
		if got := g.all(stream, 10); len(got) != 0 {
			t.Errorf("read %q", got)
		}
		if code := g.outcome("file-future", future); code != test.want {
			t.Errorf("reading: error %d, want %d", code, test.want)
		}
	}
	for _, test := range []struct {
		h, from, want int
	}{{root, 0, badDescriptor}, {onlyRead, 0, badDescriptor}, {onlyWrite, -1, invalid}} {
		r, w := g.pair()
		future := g.call("write-via-stream", test.h, r, test.from)
		if sent := g.send(w, []byte("text")); sent != 0 {
			t.Errorf("wrote %d bytes", sent)
		}
		if code := g.outcome("file-future", future); code != test.want {
			t.Errorf("writing: error %d, want %d", code, test.want)
		}
	}
	g.call("read-directory", onlyRead, addrResult)
	entries, future := g.ends()
	if r := g.call("entries.read", entries, addrData, 1); r != dropped {
		t.Errorf("entries of a file: %#x", r)
	}
	if code := g.outcome("file-future", future); code != notDirectory {
		t.Errorf("entries of a file: error %d", code)
	}
}

// TestStreamKeepsFile reads a file whose descriptor was dropped, and that was removed.
func TestStreamKeepsFile(t *testing.T) {
	dir := t.TempDir()
	testfiles.Write(t, filepath.Join(dir, "file"), "text")
	g := newGuest(t, wasi.Config{Mounts: []wasi.Mount{{Host: dir, Guest: "/"}}})
	root := g.root()
	h := g.mustOpen(root, "file", 0, read)
	g.call("read-file", h, 0, addrResult)
	stream, future := g.ends()
	g.call("drop", h)
	g.want(fine, "unlink-file-at", with(root, g.path("file"))...)
	if got := g.all(stream, 10); string(got) != "text" {
		t.Errorf("read %q", got)
	}
	g.outcome("file-future", future)
}

// TestReadOfNothing asks whether there are bytes, and at the end.
func TestReadOfNothing(t *testing.T) {
	dir := t.TempDir()
	testfiles.Write(t, filepath.Join(dir, "file"), strings.Repeat("x", 10_000))
	g := newGuest(t, wasi.Config{Mounts: []wasi.Mount{{Host: dir, Guest: "/"}}})
	h := g.mustOpen(g.root(), "file", 0, read)
	g.call("read-file", h, 0, addrResult)
	stream, future := g.ends()
	got := 0
	for _, n := range []int{0, 0, 10, 0, 5000, 0, 5000} {
		got += g.call("bytes.read", stream, addrData, n) >> 4
	}
	if rest := g.all(stream, 1000); got+len(rest) != 10_000 {
		t.Errorf("read %d and %d bytes", got, len(rest))
	}
	if code := g.outcome("file-future", future); code != fine {
		t.Errorf("error %d", code)
	}
	g.call("read-file", h, 10_000, addrResult)
	stream, _ = g.ends()
	if r := g.call("bytes.read", stream, addrData, 0); r != dropped {
		t.Errorf("a read of nothing at the end returned %#x", r)
	}
}

// TestDirectory lists directories in parts.
func TestDirectory(t *testing.T) {
	dir := t.TempDir()
	var want []string
	for i := range 700 {
		name := "name-" + strings.Repeat("x", i%50) + string(rune('a'+i%26)) + strings.Repeat("y", i/26)
		want = append(want, name)
		testfiles.Write(t, filepath.Join(dir, "many", name), "")
	}
	slices.Sort(want)
	g := newGuest(t, wasi.Config{Mounts: []wasi.Mount{{Host: dir, Guest: "/"}}})
	h := g.mustOpen(g.root(), "many", onlyDirectory, read)
	const entrySize = 24 // the type, with what other types may be, and the name
	for _, n := range []int{1, 100, 1000} {
		g.call("read-directory", h, addrResult)
		entries, future := g.ends()
		var got []string
		for {
			r := g.call("entries.read", entries, addrData, n)
			list := g.get(addrData, (r>>4)*entrySize)
			for at := range r >> 4 {
				if list[at*entrySize] != 5 {
					t.Fatalf("an entry of type %d", list[at*entrySize])
				}
				got = append(got, g.text(addrData+at*entrySize+16))
			}
			if r&15 == dropped {
				break
			}
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("in parts of %d: %d entries, want %d", n, len(got), len(want))
		}
		if code := g.outcome("file-future", future); code != fine {
			t.Errorf("in parts of %d: error %d", n, code)
		}
	}
}

// TestNamesOfOthers lists a directory with a name that is not UTF-8.
func TestNamesOfOthers(t *testing.T) {
	dir := t.TempDir()
	testfiles.Write(t, filepath.Join(dir, "good"), "")
	testfiles.Write(t, filepath.Join(dir, "bad\xff"), "")
	if err := os.Symlink("bad\xff", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	g := newGuest(t, wasi.Config{Mounts: []wasi.Mount{{Host: dir, Guest: "/"}}})
	root := g.root()
	g.call("read-directory", root, addrResult)
	entries, future := g.ends()
	n := 0
	for {
		r := g.call("entries.read", entries, addrData, 10)
		if n += r >> 4; r&15 == dropped {
			break
		}
	}
	if code := g.outcome("file-future", future); n != 2 || code != illegalByteSequence {
		t.Errorf("%d entries and error %d, want the two good ones and %d", n, code, illegalByteSequence)
	}
	g.want(illegalByteSequence, "readlink-at", with(root, g.path("link"))...)
}

// TestPipe waits for both sides of a FIFO, while the guest does other things.
func TestPipe(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mkfifo(filepath.Join(dir, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	g := newGuest(t, wasi.Config{Mounts: []wasi.Mount{{Host: dir, Guest: "/"}}})
	root := g.root()
	other, err := os.OpenFile(filepath.Join(dir, "pipe"), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	in := g.mustOpen(root, "pipe", 0, read)
	g.call("read-file", in, 0, addrResult)
	stream, _ := g.ends()
	if r := g.call("bytes.read-async", stream, addrData, 100); r != blocked {
		t.Fatalf("a read of an empty FIFO returned %#x", r)
	}
	g.call("wait-for", int(time.Millisecond))
	if _, err := other.WriteString("text"); err != nil {
		t.Fatal(err)
	}
	if r := g.waitFor(stream); r != 4<<4 || string(g.get(addrData, 4)) != "text" {
		t.Errorf("the read returned %#x", r)
	}
	g.call("bytes.drop-readable", stream)
	g.call("drop", in)

	out := g.mustOpen(root, "pipe", 0, write)
	r, w := g.pair()
	future := g.call("write-via-stream", out, r, 0)
	text := bytes.Repeat([]byte("0123456789"), 10_000) // more than a FIFO takes
	at, n := g.put(text)
	sent := 0
	for sent < n {
		r := g.call("bytes.write-async", w, at+sent, n-sent)
		if r == blocked {
			break
		}
		sent += r >> 4
	}
	g.call("now")
	got := make(chan []byte)
	go func() {
		b := make([]byte, n)
		read := 0
		for read < n {
			m, err := other.Read(b[read:])
			if err != nil {
				break
			}
			read += m
		}
		got <- b[:read]
	}()
	sent += g.waitFor(w) >> 4
	sent += g.send(w, text[sent:])
	g.call("bytes.drop-writable", w)
	if code := g.outcome("file-future", future); code != fine || sent != n {
		t.Errorf("wrote %d bytes, error %d", sent, code)
	}
	if b := <-got; !bytes.Equal(b, text) {
		t.Errorf("the other end got %d bytes, want %d", len(b), n)
	}
}

// TestSyncLater has flushes that the guest does not wait for.
func TestSyncLater(t *testing.T) {
	g := newGuest(t, wasi.Config{})
	h := g.mustOpen(g.root(), "file", create, write)
	set, begun := g.call("set"), 0
	for i := range 40 {
		r := g.call("sync-async", h, addrData+16*i)
		if r&15 == 1 {
			begun++
			g.call("join", r>>4, set)
		} else if r != 2 {
			t.Fatalf("sync returned %#x", r)
		}
	}
	for range begun {
		if _, _, state := g.wait(set); state != 2 {
			t.Errorf("a flush ended in state %d", state)
		}
	}
	for i := range 40 {
		if code := g.code(addrData+16*i, 0); code != fine {
			t.Errorf("flush %d: error %d", i, code)
		}
	}
}
