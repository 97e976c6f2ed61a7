package wasi

import (
	"errors"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// TestTable holds the table to the specification's list: 45 functions, and sock_accept, which came later.
func TestTable(t *testing.T) {
	names := map[string]bool{}
	for _, f := range Functions() {
		if names[f.Name] {
			t.Errorf("%s is there twice", f.Name)
		}
		names[f.Name] = true
		if len(f.Params) > MaxParams {
			t.Errorf("%s has %d parameters", f.Name, len(f.Params))
		}
		if f.NoResult != (f.Name == "proc_exit") {
			t.Errorf("%s: NoResult is %v", f.Name, f.NoResult)
		}
	}
	if len(names) != 46 {
		t.Errorf("%d functions", len(names))
	}
}

func TestSocketFunctionsKnowNoSocket(t *testing.T) {
	c := newCaller(t, Config{})
	c.want(ErrnoNotsock, "sock_accept", 0, 0, 0)
	c.want(ErrnoNotsock, "sock_recv", 1, 0, 0, 0, 0, 0)
	c.want(ErrnoBadf, "sock_send", 3, 0, 0, 0, 0)
	c.want(ErrnoBadf, "sock_shutdown", 77, 0)
}

func TestErrorsOfTheHost(t *testing.T) {
	for _, c := range []struct{ in, want error }{
		{syscall.ENOSPC, ErrnoNospc},
		{&ExitError{Code: 3}, &ExitError{Code: 3}},
		{errors.Join(syscall.EXDEV, nil), ErrnoXdev},
		{errors.New("anything"), ErrnoIo},
		{syscall.Errno(4095), ErrnoIo},
		{errors.Join(ErrKilled, syscall.EIO), ErrKilled},
	} {
		got := guestError(c.in)
		var exit *ExitError
		if errors.As(c.want, &exit) {
			if !errors.As(got, &exit) || exit.Code != 3 {
				t.Errorf("%v becomes %v", c.in, got)
			}
		} else if got != c.want {
			t.Errorf("%v becomes %v, want %v", c.in, got, c.want)
		}
	}
	for _, e := range hostErrnos {
		if e.Error() == "" || strings.HasPrefix(e.Error(), "wasi errno") {
			t.Errorf("errno %d has no name", uint16(e))
		}
	}
}

// TestNoEngine: this package must stay free of cgo and of the project's other packages.
func TestNoEngine(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", `{{join .Imports "\n"}}{{if .CgoFiles}} cgo{{end}}`, ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	if s := string(out); strings.Contains(s, "krustlet") || strings.Contains(s, "wasmtime") || strings.Contains(s, "cgo") {
		t.Errorf("imports:\n%s", s)
	}
}
