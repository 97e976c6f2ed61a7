package run

import (
	"errors"

	"github.com/krustlet-go/krustlet-wasi/cmd/krustlet-wasi/exit"
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// Exit codes of `krustlet-wasi run` that are not the guest's. runtime.Exit (134, 137) and the
// signal (128 and its number) give those of a guest that was ended. The others are as in
// timeout(1), env(1) and docker-run(1), so that they can be told from the guest's own.
const (
	exitTimedOut  = 124 // the guest was stopped for --timeout
	exitRunFailed = 125 // a flag is wrong, or krustlet-wasi itself failed
	exitCannotRun = 126 // the module was found, and cannot be run
	exitNotFound  = 127 // there is no such file or image
	exitKilled    = 137 // 128 + SIGKILL
	exitOverflow  = 255 // the guest's own code is not 0, and its low byte is
)

// exitCode is the program's exit code for a guest that ended so. cause is why it was told to stop;
// nil if it was not. A guest that ends by itself in its grace period keeps its own code, except
// after a time-out, as with timeout(1).
func exitCode(end runtime.Exit, cause error) int {
	killed := end.Reason == runtime.Error && end.Code == exitKilled && end.Message != ""
	var by *exit.Signalled
	switch {
	case errors.Is(cause, errTimedOut):
		return exitTimedOut
	case killed && errors.As(cause, &by):
		return by.Code()
	case end.Code != 0 && end.Code&0xff == 0:
		// The kernel keeps only the low byte of an exit code. A failure must not look like a
		// success.
		return exitOverflow
	}
	return int(end.Code & 0xff)
}

// asRun gives an error an exit code of `run` that a guest's own code is unlikely to be.
func asRun(err error) error {
	var found *exit.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &found) && found.Code >= exitRunFailed:
		return err
	case found != nil && found.Code == exit.Usage:
		return &exit.Error{Code: exitRunFailed, Err: found.Err, Hint: "Run 'krustlet-wasi run --help' to see what can be set."}
	}
	return &exit.Error{Code: exitRunFailed, Err: err}
}
