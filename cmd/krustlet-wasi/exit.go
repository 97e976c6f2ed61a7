package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
)

// Exit codes of krustlet-wasi. A second signal ends the process with 128 + the signal's number.
const (
	exitOK      = 0 // stopped by SIGINT or SIGTERM, or the question was answered (--help, --version)
	exitFailure = 1 // something failed at run time
	exitUsage   = 2 // a flag, a variable, the configuration file or a file they name is wrong
)

// exitError is an error that ends the process with a code of its own.
type exitError struct {
	code int
	err  error
	// hint follows the error, on a line of its own.
	hint string
	// logged is set when the user has been told already, through the log.
	logged bool
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

// badUsage marks err as the fault of what the user wrote.
func badUsage(err error) error {
	return &exitError{code: exitUsage, err: err, hint: "Run 'krustlet-wasi --help' to see what can be set."}
}

// codeOf is the exit code that err asks for; exitFailure where it asks for none.
func codeOf(err error) int {
	var exit *exitError
	if errors.As(err, &exit) {
		return exit.code
	}
	return exitFailure
}

// report tells the user of err, one line to a problem, and returns the exit code.
func report(err error, stderr io.Writer) int {
	if err == nil {
		return exitOK
	}
	code := codeOf(err)
	var exit *exitError
	if errors.As(err, &exit) && exit.logged {
		return code
	}
	for _, problem := range problems(err) {
		// Errors of libraries may span lines; a user, and whoever greps a log, wants one.
		line := strings.Join(strings.FieldsFunc(problem.Error(), func(r rune) bool { return r == '\n' || r == '\r' }), "; ")
		printf(stderr, "krustlet-wasi: %s\n", line)
	}
	if exit != nil && exit.hint != "" {
		printf(stderr, "%s\n", exit.hint)
	}
	return code
}

// problems takes apart what errors.Join put together, through an exitError around it.
func problems(err error) []error {
	var exit *exitError
	if errors.As(err, &exit) {
		err = exit.err
	}
	var joined interface{ Unwrap() []error }
	if errors.As(err, &joined) && isPlainJoin(err, joined.Unwrap()) {
		var all []error
		for _, e := range joined.Unwrap() {
			all = append(all, problems(e)...)
		}
		return all
	}
	return []error{err}
}

// isPlainJoin tells errors.Join from an error around it, or an fmt.Errorf with several %w: their text says
// more than the parts.
func isPlainJoin(err error, parts []error) bool {
	return err.Error() == errors.Join(parts...).Error()
}

// printf writes to a terminal or its like, where a failed write leaves nobody to tell.
func printf(w io.Writer, format string, args ...any) {
	_, _ = fmt.Fprintf(w, format, args...)
}
