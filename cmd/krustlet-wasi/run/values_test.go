package run

import (
	"errors"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/cmd/krustlet-wasi/cmdline"
	"github.com/krustlet-go/krustlet-wasi/cmd/krustlet-wasi/config"
	"github.com/krustlet-go/krustlet-wasi/cmd/krustlet-wasi/exit"
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

func TestParseDir(t *testing.T) {
	host := newRunner(t)
	file := host.file("a/file", nil)
	dir := filepath.Dir(file)
	t.Chdir(host.dir)
	for value, want := range map[string]runtime.Mount{
		".":                       {Host: host.dir, Guest: "/"},
		"a":                       {Host: dir, Guest: "/a"},
		"./a/":                    {Host: dir, Guest: "/a"},
		dir:                       {Host: dir, Guest: dir},
		"a::x":                    {Host: dir, Guest: "/x"},
		"a::/x//y/":               {Host: dir, Guest: "/x/y"},
		"a::/x:ro":                {Host: dir, Guest: "/x", ReadOnly: true},
		"a::/x:rw":                {Host: dir, Guest: "/x"},
		"a::/:ro":                 {Host: dir, Guest: "/", ReadOnly: true},
		"a/file::/etc/file":       {Host: file, Guest: "/etc/file"},
		"./a/../a::/x":            {Host: dir, Guest: "/x"},
		"a::/odd:name":            {Host: dir, Guest: "/odd:name"},
		filepath.Dir(dir) + "::/": {Host: host.dir, Guest: "/"},
	} {
		if got, err := parseDir(value); err != nil || got != want {
			t.Errorf("%s: %+v, %v; want %+v", value, got, err, want)
		}
	}
	for value, want := range map[string]string{
		"":              "write HOST, HOST::GUEST or HOST::GUEST:ro",
		"::/x":          "write HOST, HOST::GUEST",
		"a::":           "write HOST, HOST::GUEST",
		"a:::ro":        "write HOST, HOST::GUEST",
		"b::/x":         "there is no " + filepath.Join(host.dir, "b") + " here; make it first",
		"a:/x":          "the path in the guest stands behind two colons",
		"..":            `a guest cannot see a directory under a name with ".." in it`,
		"a::/x/../y":    `without ".."`,
		"a/file::/":     "is no directory, and the guest's / must be one",
		"/dev/null::/x": "neither a directory nor a regular file",
		"a/file/x::/x":  "not a directory",
	} {
		if got, err := parseDir(value); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %+v, %v; want %q", value, got, err, want)
		}
	}
	if _, err := parseDirs([]string{"a::/x", "a/file::x/"}); err == nil || !strings.Contains(err.Error(), "has something at /x already") {
		t.Errorf("two mounts at one path: %v", err)
	}
}

func FuzzParseDir(f *testing.F) {
	for _, s := range []string{".", "a::b", "a::b:ro", "::", "a:::ro", "/::/../x", "a\x00::/", "..::/"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, value string) {
		m, err := parseDir(value)
		if err != nil {
			return
		}
		if !filepath.IsAbs(m.Host) || !path.IsAbs(m.Guest) || path.Clean(m.Guest) != m.Guest || strings.ContainsRune(m.Guest, 0) {
			t.Errorf("%q: %+v", value, m)
		}
	})
}

func TestParseEnv(t *testing.T) {
	env := func(name string) (string, bool) {
		return map[string]string{"SET": "from here", "EMPTY": ""}[name], name == "SET" || name == "EMPTY"
	}
	got, err := parseEnv([]string{"A=1", "SET", "EMPTY", "MISSING", "B==", "A=2", "AB=3", "SET=other"}, env)
	if want := []string{"A=2", "SET=other", "EMPTY=", "B==", "AB=3"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v; want %q", got, err, want)
	}
	if _, err := parseEnv([]string{"=x", ""}, env); err == nil || strings.Count(err.Error(), "has no name") != 2 {
		t.Errorf("no name: %v", err)
	}
}

func TestParseAmounts(t *testing.T) {
	for value, want := range map[string]int64{"64Mi": 64 << 20, "1Gi": 1 << 30, "100": 100, "1.5Ki": 1536, "1M": 1000000} {
		if got, err := config.ParseBytes(value, "memory", "64Mi"); err != nil || got != want {
			t.Errorf("memory %s: %d, %v", value, got, err)
		}
	}
	for value, want := range map[string]int64{"250m": 250, "1": 1000, "0.5": 500, "1u": 1} {
		if got, err := parseCPU(value); err != nil || got != want {
			t.Errorf("cpu %s: %d, %v", value, got, err)
		}
	}
	for _, value := range []string{"", "0", "-1", "64MB", "x", "1 Mi"} {
		if got, err := config.ParseBytes(value, "memory", "64Mi"); err == nil {
			t.Errorf("memory %q: %d", value, got)
		}
		if got, err := parseCPU(value); err == nil {
			t.Errorf("cpu %q: %d", value, got)
		}
	}
	for _, value := range []string{"", "5", "-1s", "1 s", "soon"} {
		if got, err := config.ParseDuration(value); err == nil {
			t.Errorf("duration %q: %v", value, got)
		}
	}
	if got, err := parseListen([]string{"127.0.0.1:80", ":0", "[::1]:8080", "localhost:1"}); err != nil || len(got) != 4 {
		t.Errorf("%q, %v", got, err)
	}
	for _, value := range []string{"", "80", "127.0.0.1", "127.0.0.1:", "::1:80", "x:http", "x:65536"} {
		if got, err := parseListen([]string{value}); err == nil {
			t.Errorf("listen %q: %q", value, got)
		}
	}
}

// TestLoadRunReportsAll: the error reports all mistakes at once.
func TestLoadRunReportsAll(t *testing.T) {
	env := func(name string) (string, bool) { return "https://x", name == insecureVariable }
	_, err := load(cmdline.Values{"env": {"=1", "=2"}, "memory": {"1Gi", "x"}, "pull": {"sometimes"}, "quiet": {"perhaps"}, "cache-dir": {""}}, []string{"x"}, env)
	var got []string
	for _, problem := range exit.Problems(err) {
		got = append(got, problem.Error())
	}
	if len(got) != 7 {
		t.Errorf("%d problems:\n%s", len(got), strings.Join(got, "\n"))
	}
	for _, part := range []string{"flag --env: ", "flag --memory: \"x\"", "write always, missing or never", "environment variable " + insecureVariable} {
		if !strings.Contains(strings.Join(got, "\n"), part) {
			t.Errorf("nothing says %q:\n%s", part, strings.Join(got, "\n"))
		}
	}
}

func TestRunExitCodeOf(t *testing.T) {
	killed := runtime.Exit{Code: 137, Reason: runtime.Error, Message: "killed to stop it"}
	for _, tt := range []struct {
		name  string
		exit  runtime.Exit
		cause error
		want  int
	}{
		{"success", runtime.Exit{Reason: runtime.Completed}, nil, 0},
		{"its own", runtime.Exit{Code: 7, Reason: runtime.Error}, nil, 7},
		{"negative", runtime.Exit{Code: -1, Reason: runtime.Error}, nil, 255},
		{"a low byte of 0", runtime.Exit{Code: 256, Reason: runtime.Error}, nil, 255},
		{"trap", runtime.Exit{Code: 134, Reason: runtime.Error, Message: "trap"}, nil, 134},
		{"memory", runtime.Exit{Code: 137, Reason: runtime.OOMKilled, Message: "out of memory"}, nil, 137},
		{"interrupt", killed, &exit.Signalled{Signal: 2}, 130},
		{"terminated", killed, &exit.Signalled{Signal: 15}, 143},
		{"its own in the grace period", runtime.Exit{Code: 3, Reason: runtime.Error}, &exit.Signalled{Signal: 15}, 3},
		{"its own 137 in the grace period", runtime.Exit{Code: 137, Reason: runtime.Error}, &exit.Signalled{Signal: 15}, 137},
		{"success in the grace period", runtime.Exit{Reason: runtime.Completed}, &exit.Signalled{Signal: 15}, 0},
		{"memory in the grace period", runtime.Exit{Code: 137, Reason: runtime.OOMKilled, Message: "out of memory"}, &exit.Signalled{Signal: 15}, 137},
		{"time-out", killed, errTimedOut, 124},
		{"time-out, ended by itself", runtime.Exit{Reason: runtime.Completed}, errTimedOut, 124},
	} {
		if got := exitCode(tt.exit, tt.cause); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
	}
}

func TestAsRun(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want int
	}{
		{errors.New("x"), 125},
		{exit.BadUsage(errors.New("x")), 125},
		{&exit.Error{Code: exit.Failure, Err: errors.New("x")}, 125},
		{&exit.Error{Code: exitNotFound, Err: errors.New("x")}, 127},
		{errors.Join(&exit.Error{Code: exitCannotRun, Err: errors.New("x")}, errors.New("y")), 126},
	} {
		if got := exit.CodeOf(asRun(tt.err)); got != tt.want {
			t.Errorf("%v: %d, want %d", tt.err, got, tt.want)
		}
	}
	if asRun(nil) != nil {
		t.Error("nil became an error")
	}
}
