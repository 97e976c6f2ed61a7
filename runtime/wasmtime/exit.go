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

// memoryEnd is what is known of a guest's memory at its end, in bytes.
type memoryEnd struct {
	limit   int64 // 0 for none
	size    int64
	refused int64 // how much more it asked for last, in vain
	known   bool  // whether refused is true
}

// exhausted says that a guest that ended badly ended for want of memory: the last that it asked for was
// refused, and would have led beyond its limit, not only beyond what the module says of itself.
func (m memoryEnd) exhausted() bool {
	if m.limit <= 0 {
		return false
	}
	if m.known {
		return m.refused > 0 && m.size+m.refused > m.limit
	}
	// What can be seen is that the guest holds nearly all that it may have. Allocators ask for less than a
	// mebibyte at a time near their end (Go's for half of one).
	return m.size+min(1<<20, m.limit/8) > m.limit
}

func outOfMemory(e runtime.Exit, limit int64) runtime.Exit {
	message := fmt.Sprintf("out of memory: the limit is %d bytes", limit)
	if e.Message != "" {
		message += "\n" + e.Message
	}
	return runtime.Exit{Code: codeKilled, Reason: runtime.OOMKilled, Message: truncate(message)}
}
