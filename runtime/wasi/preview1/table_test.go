package preview1

import (
	"context"
	"errors"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
)

// TestTable compares the table with the specification's list: 45 functions, and sock_accept, which
// was added later.
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
	for _, f := range slices.Concat(sockets, experimental) {
		delete(names, f.Name)
	}
	if len(names) != 46 {
		t.Errorf("%d functions", len(names))
	}
}

func TestSocketFunctionsKnowNoSocket(t *testing.T) {
	c := newCaller(t, wasi.Config{})
	c.want(ErrnoNotsock, "sock_accept", 0, 0, 0)
	c.want(ErrnoNotsock, "sock_recv", 1, 0, 0, 0, 0, 0)
	c.want(ErrnoBadf, "sock_send", 3, 0, 0, 0, 0)
	c.want(ErrnoBadf, "sock_shutdown", 77, 0)
}

func TestErrorsOfTheHost(t *testing.T) {
	for _, c := range []struct{ in, want error }{
		{syscall.ENOSPC, ErrnoNospc},
		{&wasi.ExitError{Code: 3}, &wasi.ExitError{Code: 3}},
		{errors.Join(syscall.EXDEV, nil), ErrnoXdev},
		{errors.New("anything"), ErrnoIo},
		{ErrnoFault, ErrnoFault},
		{wasi.ErrTooManyOpen, ErrnoMfile},
		{context.Canceled, wasi.ErrKilled},
		{syscall.Errno(4095), ErrnoIo},
		{errors.Join(wasi.ErrKilled, syscall.EIO), wasi.ErrKilled},
	} {
		got := asError(outcome(c.in))
		var exit *wasi.ExitError
		if errors.As(c.want, &exit) {
			if !errors.As(got, &exit) || exit.Code != 3 {
				t.Errorf("%v becomes %v", c.in, got)
			}
		} else if got != c.want {
			t.Errorf("%v becomes %v, want %v", c.in, got, c.want)
		}
	}
	seen := map[Errno]wasi.Error{}
	for _, e := range wasi.Errors() {
		errno, err := outcome(e)
		if e == wasi.ErrState { // preview 1 has no number for it but that of invalid arguments
			if errno != ErrnoInval || err != nil {
				t.Errorf("%v becomes %d, %v", e, errno, err)
			}
			continue
		}
		if other, twice := seen[errno]; errno == ErrnoSuccess || err != nil || twice {
			t.Errorf("%v becomes %d, %v, as does %v", e, errno, err, other)
		}
		seen[errno] = e
		if errno.Error() != e.Error() || strings.HasPrefix(e.Error(), "wasi error") {
			t.Errorf("%v is called %q as errno %d", e, errno.Error(), errno)
		}
	}
}

// TestNoEngine: this package has no cgo. Of the project's other packages it imports only the host.
func TestNoEngine(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", `{{join .Imports "\n"}}{{if .CgoFiles}} cgo{{end}}`, ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	ours := strings.NewReplacer("github.com/krustlet-go/krustlet-wasi/runtime/wasi\n", "", "github.com/krustlet-go/krustlet-wasi/runtime/wasi/http/client\n", "")
	if s := ours.Replace(string(out)); strings.Contains(s, "krustlet") || strings.Contains(s, "wasmtime") || strings.Contains(s, "cgo") {
		t.Errorf("imports:\n%s", s)
	}
}
