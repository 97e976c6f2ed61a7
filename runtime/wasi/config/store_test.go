package config_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/krustlet-go/krustlet-wasi/hack/testfiles"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/config"
)

func goOn(context.Context) error { return nil }

// volume makes a folder as volumes of ConfigMaps are, with one version of its files.
func volume(t *testing.T, files map[string]string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	replace(t, dir, "..1", files)
	for name := range files {
		testfiles.Symlink(t, "..data/"+name, filepath.Join(dir, name))
	}
	return dir
}

// replace changes all files of a volume at once, and removes the old ones.
func replace(t *testing.T, dir, version string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		testfiles.Write(t, filepath.Join(dir, version, name), text)
	}
	before, _ := os.Readlink(filepath.Join(dir, "..data"))
	testfiles.Symlink(t, version, filepath.Join(dir, "..new"))
	if err := os.Rename(filepath.Join(dir, "..new"), filepath.Join(dir, "..data")); err != nil {
		t.Fatal(err)
	}
	if before != "" {
		if err := os.RemoveAll(filepath.Join(dir, before)); err != nil {
			t.Fatal(err)
		}
	}
}

// hostile makes a folder with all kinds of files that are no values, and one that is: good.
func hostile(t *testing.T) (dir string) {
	t.Helper()
	top := t.TempDir()
	dir = filepath.Join(top, "in")
	testfiles.Write(t, filepath.Join(top, "secret"), "secret")
	testfiles.Write(t, filepath.Join(dir, "good"), "value")
	testfiles.Write(t, filepath.Join(dir, "folder", "deep"), "deep")
	testfiles.Write(t, filepath.Join(dir, "..hidden"), "hidden")
	testfiles.Write(t, filepath.Join(dir, "\xff"), "no name")
	for name, target := range map[string]string{
		"out": "../secret", "absolute": filepath.Join(top, "secret"), "loop": "loop", "nowhere": "none", "through": "good/x",
		"to-folder": "folder", "out-and-in": "../in/good", "process": "/proc/self/environ", "linked": "folder/deep",
	} {
		testfiles.Symlink(t, target, filepath.Join(dir, name))
	}
	if err := unix.Mkfifo(filepath.Join(dir, "fifo"), 0o666); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestGet(t *testing.T) {
	one, two := volume(t, map[string]string{"a": "one", "both": "one"}), volume(t, map[string]string{"b": "", "both": "two", "c": "x\ny"})
	env := []string{"a=env", "HOME=/", "EQUALS=a=b", "EMPTY=", "HOME=/second"}
	s := config.New(env, []string{one, two, hostile(t)})
	for _, c := range []struct {
		key, want string
		ok        bool
	}{
		{"a", "one", true}, {"b", "", true}, {"both", "one", true}, {"c", "x\ny", true},
		{"HOME", "/", true}, {"EQUALS", "a=b", true}, {"EMPTY", "", true}, {"HOM", "", false}, {"HOME=", "", false}, {"", "", false},
		{"good", "value", true}, {"linked", "deep", true}, {"folder", "", false}, {"folder/deep", "", false}, {"to-folder", "", false},
		{"..hidden", "", false}, {"..data", "", false}, {"..data/a", "", false}, {"..", "", false}, {".", "", false}, {"./good", "", false},
		{"/etc/passwd", "", false}, {"../secret", "", false}, {"out", "", false}, {"absolute", "", false}, {"out-and-in", "", false},
		{"loop", "", false}, {"nowhere", "", false}, {"through", "", false}, {"fifo", "", false}, {"process", "", false}, {"\xff", "", false},
		{"good\x00", "", false}, {strings.Repeat("k", 300), "", false},
	} {
		got, ok, err := s.Get(c.key)
		if got != c.want || ok != c.ok || err != nil {
			t.Errorf("%q: %q, %t, %v, want %q, %t", c.key, got, ok, err, c.want, c.ok)
		}
	}
}

func TestAll(t *testing.T) {
	one, two := volume(t, map[string]string{"a": "one", "both": "one"}), volume(t, map[string]string{"b": "", "both": "two"})
	s := config.New([]string{"a=env", "HOME=/", "HOME=/second", "\xff=x", "EMPTY="}, []string{one, two, hostile(t)})
	got, err := s.All(t.Context(), goOn)
	want := [][2]string{{"EMPTY", ""}, {"HOME", "/"}, {"a", "one"}, {"b", ""}, {"both", "one"}, {"good", "value"}, {"linked", "deep"}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
	for _, pair := range got {
		if value, ok, err := s.Get(pair[0]); value != pair[1] || !ok || err != nil {
			t.Errorf("%s by itself: %q, %t, %v", pair[0], value, ok, err)
		}
	}
	ended := errors.New("ended")
	if _, err := s.All(t.Context(), func(context.Context) error { return ended }); !errors.Is(err, ended) {
		t.Errorf("a guest that has to end: %v", err)
	}
	if got, err := config.New(nil, nil).All(t.Context(), goOn); err != nil || len(got) != 0 {
		t.Errorf("without anything: %q, %v", got, err)
	}
}

// TestProcess: what the kernel shows of this process is not for guests, whatever the folder is.
func TestProcess(t *testing.T) {
	s := config.New(nil, []string{"/proc/self"})
	if value, ok, err := s.Get("environ"); ok || err != nil {
		t.Errorf("%q, %t, %v", value, ok, err)
	}
}

// TestUpdates: a call sees the files as they are, and not some of two versions.
func TestUpdates(t *testing.T) {
	dir := volume(t, map[string]string{"a": "1", "b": "1"})
	s := config.New(nil, []string{dir})
	replace(t, dir, "..2", map[string]string{"a": "2", "b": "2"})
	if got, ok, err := s.Get("a"); got != "2" || !ok || err != nil {
		t.Errorf("after a change: %q, %t, %v", got, ok, err)
	}
	looks := 0
	got, err := s.All(t.Context(), func(context.Context) error {
		if looks++; looks == 4 { // one of the four entries was read
			replace(t, dir, "..3", map[string]string{"a": "3", "b": "3"})
		}
		return nil
	})
	if want := [][2]string{{"a", "3"}, {"b", "3"}}; err != nil || !slices.Equal(got, want) {
		t.Errorf("with a change in the middle: %q, %v, want %q", got, err, want)
	}
}

// TestGetMeanwhile: a key that is there all the time is found, also while files are replaced.
func TestGetMeanwhile(t *testing.T) {
	dir := volume(t, map[string]string{"a": "0"})
	s := config.New([]string{"a=env"}, []string{dir})
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
			}
			for range 200 {
				if got, ok, err := s.Get("a"); got != "0" || !ok || err != nil {
					t.Errorf("%q, %t, %v", got, ok, err)
					return
				}
			}
		}
	}()
	for i := range 200 {
		replace(t, dir, fmt.Sprintf("..%d", i+2), map[string]string{"a": "0"})
	}
	close(stop)
	<-done
}

// TestUnfit: what is no value is told with its key, and without the value and the host's path.
func TestUnfit(t *testing.T) {
	const mebi = 1 << 20
	many := map[string]string{}
	for i := range 9 {
		many[fmt.Sprint("k", i)] = strings.Repeat("v", mebi-1)
	}
	const text, large = "it is not UTF-8", "more than 1048576 bytes"
	variables := make([]string, 10_001)
	for i := range variables {
		variables[i] = fmt.Sprintf("v%d=", i)
	}
	for _, c := range []struct {
		name     string
		env      []string
		files    map[string]string
		get, all string // in the errors
	}{
		{"a file that is not UTF-8", nil, map[string]string{"k": "v\xff"}, text, text},
		{"a variable that is not UTF-8", []string{"k=v\xff"}, nil, text, text},
		{"the largest file", nil, map[string]string{"k": strings.Repeat("v", mebi)}, "", ""},
		{"too large a file", nil, map[string]string{"k": strings.Repeat("v", mebi+1)}, large, large},
		{"too large a variable", []string{"k=" + strings.Repeat("v", mebi+1)}, nil, large, large},
		{"too many bytes", nil, many, "", "more than 8388608 bytes"},
		{"most variables", variables[1:], nil, "", ""},
		{"too many variables", variables, nil, "", "more than 10000 keys"},
	} {
		dir := t.TempDir()
		for name, value := range c.files {
			testfiles.Write(t, filepath.Join(dir, name), value)
		}
		s := config.New(c.env, []string{dir})
		_, _, err := s.Get("k")
		unfit(t, c.name+", get", err, c.get, dir)
		_, err = s.All(t.Context(), goOn)
		unfit(t, c.name+", get-all", err, c.all, dir)
	}
}

func unfit(t *testing.T, what string, err error, want, dir string) {
	t.Helper()
	if want == "" {
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
		return
	}
	var u *config.Unfit
	if !errors.As(err, &u) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), dir) || strings.ContainsRune(err.Error(), 'ÿ') {
		t.Errorf("%s: %v, want %s", what, err, want)
	}
}

// TestTooManyFiles: the bound counts all that is listed, values and others.
func TestTooManyFiles(t *testing.T) {
	dir := t.TempDir()
	one := filepath.Join(dir, "..one")
	testfiles.Write(t, one, "")
	for i := range 10_001 {
		if err := os.Link(one, filepath.Join(dir, fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	s := config.New(nil, []string{dir})
	_, err := s.All(t.Context(), goOn)
	unfit(t, "links", err, "more than 10000 keys", dir)
}

// TestUnreadable: what the system cannot read is told as that, without the path of the host.
func TestUnreadable(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "none")
	s := config.New([]string{"k=v"}, []string{dir})
	_, _, one := s.Get("k")
	_, all := s.All(t.Context(), goOn)
	for _, err := range []error{one, all} {
		var u *config.Unfit
		if !errors.Is(err, unix.ENOENT) || errors.As(err, &u) || strings.Contains(err.Error(), dir) {
			t.Errorf("%v", err)
		}
	}
}
