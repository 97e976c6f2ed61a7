package controlplane

import (
	"io"
	"os"
	"strconv"
)

// lifelineVariable names the environment variable that tells a component which
// of its file descriptors is the lifeline: the reading end of a pipe whose only
// writing end is held by the supervisor. Nothing is ever written to it, so a
// read returns when the supervisor is gone, however it went.
const lifelineVariable = "KRUSTLET_CLUSTER_LIFELINE"

// DieWithParent makes this process exit when the supervisor that started it is
// gone, even by kill -9. It does nothing in a process that no supervisor
// started.
func DieWithParent() {
	fd, err := strconv.Atoi(os.Getenv(lifelineVariable))
	if err != nil {
		return
	}
	_ = os.Unsetenv(lifelineVariable)
	lifeline := os.NewFile(uintptr(fd), "lifeline")
	// This goroutine has no owner to wait for it: it ends the process.
	go func() {
		_, _ = io.Copy(io.Discard, lifeline)
		os.Exit(1)
	}()
}
