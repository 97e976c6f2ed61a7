// Package exit is about the end of the program: exit codes, the errors that have one, messages
// about errors, and the signals that stop the program.
package exit

import (
	"errors"
	"fmt"
	"io"
	"strings"
)

// Exit codes of krustlet-wasi. A second signal ends the process with 128 + the signal's number.
const (
	OK      = 0 // stopped by SIGINT or SIGTERM, or a question was answered (--help, --version)
	Failure = 1 // something failed at run time
	Usage   = 2 // wrong: a flag, a variable, the configuration file, or a file that they name
)

// Error is an error with its own exit code for the process.
type Error struct {
	Code int
	Err  error
	// Hint is printed after the error, on its own line.
	Hint string
	// Logged is set if the log has already told the user.
	Logged bool
}

func (e *Error) Error() string { return e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }

// BadUsage marks err as a mistake in what the user wrote.
func BadUsage(err error) error {
	return &Error{Code: Usage, Err: err, Hint: "Run 'krustlet-wasi --help' to see what can be set."}
}

// CodeOf is the exit code of err, or Failure if err has none.
func CodeOf(err error) int {
	var exit *Error
	if errors.As(err, &exit) {
		return exit.Code
	}
	return Failure
}

// Report prints err for the user, one line for each problem, and returns the exit code.
func Report(err error, stderr io.Writer) int {
	if err == nil {
		return OK
	}
	code := CodeOf(err)
	var exit *Error
	if errors.As(err, &exit) && exit.Logged {
		return code
	}
	// A failed write to standard error is ignored: there is no other way to tell the user.
	for _, problem := range Problems(err) {
		// Errors of libraries may have several lines. Users and log searches want one line.
		line := strings.Join(strings.FieldsFunc(problem.Error(), func(r rune) bool { return r == '\n' || r == '\r' }), "; ")
		_, _ = fmt.Fprintf(stderr, "krustlet-wasi: %s\n", line)
	}
	if exit != nil && exit.Hint != "" {
		_, _ = fmt.Fprintf(stderr, "%s\n", exit.Hint)
	}
	return code
}

// Problems returns the errors that errors.Join joined, also inside an Error.
func Problems(err error) []error {
	var exit *Error
	if errors.As(err, &exit) {
		err = exit.Err
	}
	var joined interface{ Unwrap() []error }
	if errors.As(err, &joined) && isPlainJoin(err, joined.Unwrap()) {
		var all []error
		for _, e := range joined.Unwrap() {
			all = append(all, Problems(e)...)
		}
		return all
	}
	return []error{err}
}

// isPlainJoin reports whether err itself comes from errors.Join. An error that wraps a joined one,
// or comes from fmt.Errorf with several %w, has text of its own.
func isPlainJoin(err error, parts []error) bool {
	return err.Error() == errors.Join(parts...).Error()
}

// Prefixed returns the problems of err, each with the location before it.
func Prefixed(location string, err error) []error {
	if err == nil {
		return nil
	}
	var all []error
	for _, e := range Problems(err) {
		all = append(all, fmt.Errorf("%s: %w", location, e))
	}
	return all
}
