package wasmtime

import (
	"errors"
	"fmt"

	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
)

// Exit codes of guests that did not choose theirs: as a shell reports a native process that a signal ended.
const (
	codeTrapped = 134 // 128 + SIGABRT
	codeKilled  = 137 // 128 + SIGKILL
)

// messageKilled is for a guest that was stopped from outside.
const messageKilled = "killed to stop it"

// exitOf says how a guest ended. err is what running its code gave, ended what a host call left, killed that
// somebody killed it. A guest that ended by itself has done so even if a kill was on its way.
func exitOf(err, ended error, killed bool) runtime.Exit {
	var exit *wasi.ExitError
	switch {
	case err == nil:
		return runtime.Exit{Code: 0, Reason: runtime.Completed}
	case errors.As(ended, &exit):
		return chosen(int32(exit.Code))
	case errors.Is(ended, wasi.ErrKilled):
		return runtime.Exit{Code: codeKilled, Reason: runtime.Error, Message: messageKilled}
	case ended != nil:
		return runtime.Exit{Code: codeTrapped, Reason: runtime.Error, Message: truncate(ended.Error())}
	case killed:
		return runtime.Exit{Code: codeKilled, Reason: runtime.Error, Message: messageKilled}
	}
	return runtime.Exit{Code: codeTrapped, Reason: runtime.Error, Message: truncate("trap: " + err.Error())}
}

func chosen(code int32) runtime.Exit {
	if code == 0 {
		return runtime.Exit{Code: 0, Reason: runtime.Completed}
	}
	return runtime.Exit{Code: code, Reason: runtime.Error}
}

// outOfMemory is the end of a guest that was refused the memory which it last asked for, and then ended badly.
func outOfMemory(e runtime.Exit, why shortage, limit int64) runtime.Exit {
	message := fmt.Sprintf("out of memory: the limit is %d bytes", limit)
	if why == pastHeap {
		message = fmt.Sprintf("out of memory: the objects of a guest have %d bytes at most, whatever its limit", maxHeap)
	}
	if e.Message != "" {
		message += "\n" + e.Message
	}
	return runtime.Exit{Code: codeKilled, Reason: runtime.OOMKilled, Message: truncate(message)}
}
