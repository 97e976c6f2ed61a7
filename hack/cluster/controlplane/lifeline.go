package controlplane

import (
	"io"
	"os"
	"strconv"
)

// lifelineVariable is the environment variable with a component's file descriptor of the lifeline.
// The lifeline is the reading end of a pipe. Only the supervisor has the writing end, and never
// writes to it. So a read returns when the supervisor has exited, in every case.
const lifelineVariable = "KRUSTLET_CLUSTER_LIFELINE"

// DieWithParent makes this process exit when the supervisor that started it has exited, even by
// kill -9. It does nothing if no supervisor started this process.
func DieWithParent() {
	fd, err := strconv.Atoi(os.Getenv(lifelineVariable))
	if err != nil {
		return
	}
	_ = os.Unsetenv(lifelineVariable)
	lifeline := os.NewFile(uintptr(fd), "lifeline")
	// This goroutine has no owner that waits for it: it ends the process.
	go func() {
		_, _ = io.Copy(io.Discard, lifeline)
		os.Exit(1)
	}()
}
