package wasi

import (
	"context"
	"errors"
	"testing"

	"golang.org/x/sys/unix"
)

// TestKillWaitsForNoCallBeside uses a system call that never ends by itself.
func TestKillWaitsForNoCallBeside(t *testing.T) {
	ctx, kill := context.WithCancel(t.Context())
	files := NewFiles(1)
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pipe[1])
	entered, ended := make(chan struct{}), make(chan struct{})
	go func() {
		<-entered
		kill()
	}()
	err := aside(ctx, files, func(fds []int) error {
		defer close(ended)
		_ = unix.Close(pipe[0]) // as Close does with the guest's descriptors
		close(entered)
		var b [1]byte
		_, err := unix.Read(fds[0], b[:])
		return err
	}, pipe[0])
	if !errors.Is(err, ErrKilled) || files.take(0) {
		t.Errorf("%v, and the stock has a file that is in use", err)
	}
	if _, err := unix.Write(pipe[1], []byte("x")); err != nil { // the call's own descriptor is still valid
		t.Error(err)
	}
	<-ended
}
