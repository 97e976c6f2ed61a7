package host

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"testing"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"
)

const nobody = 65534

// connectAs connects as another user, which needs root. It uses a thread that exits afterwards.
func connectAs(uid int, address string) (net.Conn, error) {
	type result struct {
		fd  int
		err error
	}
	connected := make(chan result)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread exits with the goroutine
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err == nil {
			if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, uintptr(uid), uintptr(uid), uintptr(uid)); errno != 0 {
				err = errno
			}
		}
		if err == nil {
			err = unix.Connect(fd, &unix.SockaddrUnix{Name: address})
		}
		connected <- result{fd, err}
	}()
	r := <-connected
	if r.err != nil {
		return nil, r.err
	}
	f := os.NewFile(uintptr(r.fd), address)
	defer f.Close()
	return net.FileConn(f)
}

func TestStrangersAreTurnedAway(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can be two users")
	}
	address := fmt.Sprintf("@krustlet-wasi-test-%d", os.Getpid())
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: address, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	guarded := &guardedListener{UnixListener: l, log: zap.NewNop()}
	stranger, err := connectAs(nobody, address)
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	friend, err := net.Dial("unix", address)
	if err != nil {
		t.Fatal(err)
	}
	defer friend.Close()
	accepted, err := guarded.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer accepted.Close()
	// The stranger connected first and reads the end of the stream. The friend's data arrives.
	_ = stranger.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := stranger.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("the stranger reads: %v", err)
	}
	if _, err := friend.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := accepted.Read(make([]byte, 1)); err != nil {
		t.Errorf("what was accepted is not the friend: %v", err)
	}
}
