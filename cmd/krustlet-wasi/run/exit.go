package run

import (
	"errors"

	"github.com/krustlet-go/krustlet-wasi/cmd/krustlet-wasi/exit"
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// Exit codes of `krustlet-wasi run` that do not come from the guest itself. For a guest that was
// killed, the code comes from runtime.Exit (134, 137) or is 128 plus the signal's number. The
// others are as in timeout(1), env(1) and docker-run(1), so that users can tell them from the
// guest's own codes.
const (
	exitTimedOut  = 124 // the guest was stopped because of --timeout
	exitRunFailed = 125 // a flag is wrong, or krustlet-wasi itself failed
	exitCannotRun = 126 // the module was found, but cannot run
	exitNotFound  = 127 // the file or image does not exist
	exitKilled    = 137 // 128 + SIGKILL
	exitOverflow  = 255 // the guest's own code is not 0, but its low byte is
)

// exitCode is the program's exit code after the guest's end. cause is why the program stopped the
// guest; nil if it did not. A guest that ends by itself in its grace period keeps its own code,
// except after a time-out, as with timeout(1).
func exitCode(end runtime.Exit, cause error) int {
	killed := end.Reason == runtime.Error && end.Code == exitKilled && end.Message != ""
	var by *exit.Signalled
	switch {
	case errors.Is(cause, errTimedOut):
		return exitTimedOut
	case killed && errors.As(cause, &by):
		return by.Code()
	case end.Code != 0 && end.Code&0xff == 0:
		// The kernel keeps only the low byte of an exit code. A failure must not look like success.
		return exitOverflow
	}
	return int(end.Code & 0xff)
}

// asRun gives an error one of the exit codes of `run`, which guests rarely use.
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
