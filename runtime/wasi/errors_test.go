package wasi

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

func TestReasonsOfErrors(t *testing.T) {
	for _, c := range []struct {
		in   error
		want Error
	}{
		{syscall.ENOSPC, ErrNoSpace},
		{syscall.EMFILE, ErrNoFiles},
		{errors.Join(syscall.EXDEV, nil), ErrCrossDevice},
		{&os.PathError{Op: "open", Err: syscall.ENOENT}, ErrNotExist},
		{fmt.Errorf("walk: %w", ErrLoop), ErrLoop},
		{errors.New("anything"), ErrIO},
		{syscall.Errno(4095), ErrIO},
		{os.ErrClosed, ErrPipe},
		{errors.Join(ErrKilled, syscall.EIO), 0},
		{fmt.Errorf("wait: %w", context.Canceled), 0},
	} {
		if got := ErrorOf(c.in); got != c.want {
			t.Errorf("%v becomes %v, want %v", c.in, got, c.want)
		}
	}
	for _, e := range Errors() {
		if e.Error() == "" || strings.HasPrefix(e.Error(), "wasi error") {
			t.Errorf("error %d has no text", uint8(e))
		}
	}
}

// TestNoEngine: this package has no cgo, and of the project it imports only package runtime, which
// is plain data.
func TestNoEngine(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", `{{join .Imports "\n"}}{{if .CgoFiles}} cgo{{end}}`, ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	if s := strings.Replace(string(out), "github.com/krustlet-go/krustlet-wasi/runtime\n", "", 1); strings.Contains(s, "krustlet") || strings.Contains(s, "wasmtime") || strings.Contains(s, "cgo") {
		t.Errorf("imports:\n%s", s)
	}
}
