package descriptor

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/krustlet-go/krustlet-wasi/hack/testfiles"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
)

// TestCodes has a code for every error of the host, and none for the end of a guest.
func TestCodes(t *testing.T) {
	for _, e := range wasi.Errors() {
		if int(e) >= len(codes) || codes[e] == Access && e != wasi.ErrAccess {
			t.Errorf("%v has no code", e)
		}
	}
	if code, ok := CodeOf(unix.ENOTEMPTY); code != NotEmpty || !ok {
		t.Errorf("an error of the kernel has code %d, %v", code, ok)
	}
	for _, err := range []error{wasi.ErrKilled, context.Canceled} {
		if _, ok := CodeOf(err); ok {
			t.Errorf("%v has a code", err)
		}
	}
}

func newSet(t *testing.T, files *wasi.Files) (s *Set, dir string) {
	t.Helper()
	dir = t.TempDir()
	testfiles.Write(t, filepath.Join(dir, "file"), "text")
	g, err := wasi.New(wasi.Config{Mounts: []wasi.Mount{{Host: dir, Guest: "/"}}, Confined: true, Files: files})
	if err != nil {
		t.Fatal(err)
	}
	s = NewSet(g)
	t.Cleanup(func() {
		if err := errors.Join(s.Close(), g.CloseInitial(), g.Close()); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s, dir
}

func mustOpen(t *testing.T, s *Set, path string, how Opens, flags Flags) *Descriptor {
	t.Helper()
	d, err := s.Root().Open(t.Context(), path, true, how, flags)
	if err != nil {
		t.Fatalf("opening %s: %v", path, err)
	}
	return d
}

// TestUses closes a descriptor after its last use, and what is left with the set.
func TestUses(t *testing.T) {
	files := wasi.NewFiles(10)
	s, _ := newSet(t, files)
	d := mustOpen(t, s, "file", 0, Read)
	d.Use()
	if err := d.Done(t.Context()); err != nil || files.Free() != 9 {
		t.Errorf("a descriptor in use was closed: %d files are free, %v", files.Free(), err)
	}
	if err := d.Done(t.Context()); err != nil || files.Free() != 10 {
		t.Errorf("a descriptor without uses is open: %d files are free, %v", files.Free(), err)
	}
	left := mustOpen(t, s, "file", 0, Read)
	s.Root().Use()
	if err := errors.Join(s.Root().Done(t.Context()), s.Close()); err != nil || files.Free() != 10 {
		t.Errorf("a set that is closed has files: %d are free, %v", files.Free(), err)
	}
	if err := left.Done(t.Context()); err != nil {
		t.Errorf("a use that ends after its set: %v", err)
	}
}

// TestNeeds asks for what a descriptor was opened for.
func TestNeeds(t *testing.T) {
	s, _ := newSet(t, nil)
	reads, writes := mustOpen(t, s, "file", 0, 0), mustOpen(t, s, "file", 0, Write)
	for _, test := range []struct {
		d     *Descriptor
		needs Flags
		want  error
	}{
		{reads, Read, nil}, {reads, Write, wasi.ErrBadDescriptor}, {reads, 0, nil},
		{writes, Write, nil}, {writes, Read, wasi.ErrBadDescriptor}, {s.Root(), 0, wasi.ErrBadDescriptor},
	} {
		if _, err := test.d.File(test.needs); !errors.Is(err, test.want) {
			t.Errorf("flags %#x for %#x: %v, want %v", test.d.Flags(), test.needs, err, test.want)
		}
	}
	if _, err := reads.Directory(); !errors.Is(err, wasi.ErrNotDirectory) {
		t.Errorf("a file as a directory: %v", err)
	}
	if err := writes.SetSize(t.Context(), 1<<63); !errors.Is(err, wasi.ErrInvalid) {
		t.Errorf("a size above all: %v", err)
	}
	if err := reads.SetSize(t.Context(), 1); !errors.Is(err, wasi.ErrBadDescriptor) {
		t.Errorf("the size of what is only read: %v", err)
	}
}

func TestTimes(t *testing.T) {
	s, dir := newSet(t, nil)
	d := mustOpen(t, s, "file", 0, Read)
	for _, test := range []struct {
		modified Time
		want     error
	}{
		{Time{Set: SetTo, Seconds: 5, Nanoseconds: 999_999_999}, nil},
		{Time{Set: SetTo, Seconds: 6, Nanoseconds: 1_000_000_000}, wasi.ErrInvalid},
		{Time{Set: SetTo, Seconds: 6, Nanoseconds: unix.UTIME_NOW}, wasi.ErrInvalid},
		{Time{Set: SetNothing, Seconds: 6}, nil},
	} {
		err := d.SetTimes(t.Context(), Time{}, test.modified)
		info, statErr := os.Stat(filepath.Join(dir, "file"))
		if !errors.Is(err, test.want) || statErr != nil || info.ModTime().UnixNano() != 5_999_999_999 {
			t.Errorf("setting %v: %v, the file has %s, %v", test.modified, err, info.ModTime(), statErr)
		}
	}
	if seconds, nanoseconds := Split(5_999_999_999); seconds != 5 || nanoseconds != 999_999_999 {
		t.Errorf("split: %d, %d", seconds, nanoseconds)
	}
}

// TestHash tells files apart, also by both halves alone.
func TestHash(t *testing.T) {
	seen := map[uint64]wasi.Stat{}
	for dev := range uint64(20) {
		for ino := range uint64(200) {
			st := wasi.Stat{Dev: dev, Ino: ino}
			lower, upper := Hash(st)
			for _, h := range []uint64{lower, upper} {
				if other, ok := seen[h]; ok {
					t.Fatalf("%v and %v have the same hash", st, other)
				}
				seen[h] = st
			}
		}
	}
}
