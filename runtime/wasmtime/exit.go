package wasmtime

import (
	"errors"
	"fmt"

	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasmtime/message"
)

// Exit codes of guests that did not choose their own. A shell reports the same codes for a native
// process that was ended by a signal.
const (
	codeTrapped = 134 // 128 + SIGABRT
	codeKilled  = 137 // 128 + SIGKILL
)

// messageKilled is the message of a guest that was killed.
const messageKilled = "killed to stop it"

// exitOf returns how a guest ended. err is the error of running its code, ended is the reason that
// a host call stored, and killed says that the guest was killed. A guest that ended by itself keeps
// its own exit even if it was killed at the same time.
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
		return runtime.Exit{Code: codeTrapped, Reason: runtime.Error, Message: message.Truncate(ended.Error())}
	case killed:
		return runtime.Exit{Code: codeKilled, Reason: runtime.Error, Message: messageKilled}
	}
	return runtime.Exit{Code: codeTrapped, Reason: runtime.Error, Message: message.Truncate("trap: " + err.Error())}
}

func chosen(code int32) runtime.Exit {
	if code == 0 {
		return runtime.Exit{Code: 0, Reason: runtime.Completed}
	}
	return runtime.Exit{Code: code, Reason: runtime.Error}
}

// outOfMemory is the exit of a guest that failed after its last request for memory was refused.
func outOfMemory(e runtime.Exit, why shortage, limit int64) runtime.Exit {
	text := fmt.Sprintf("out of memory: the limit is %d bytes", limit)
	if why == pastHeap {
		text = fmt.Sprintf("out of memory: the objects of a guest have %d bytes at most, whatever its limit", maxHeap)
	}
	if e.Message != "" {
		text += "\n" + e.Message
	}
	return runtime.Exit{Code: codeKilled, Reason: runtime.OOMKilled, Message: message.Truncate(text)}
}
