package p2

import (
	"context"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/typed"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/p2/bindings"
)

// environment has the functions of wasi:cli/environment.
type environment struct{ host *Host }

// GetEnvironment implements bindings.EnvironmentHost.
func (e environment) GetEnvironment(ctx context.Context) ([][2]string, error) {
	return e.host.guest.Variables(ctx)
}

// GetArguments implements bindings.EnvironmentHost.
func (e environment) GetArguments(context.Context) ([]string, error) { return e.host.guest.Args(), nil }

// InitialCwd implements bindings.EnvironmentHost.
func (e environment) InitialCwd(context.Context) (typed.Option[string], error) {
	dir := e.host.guest.WorkDir()
	return typed.Option[string]{Is: dir != "", Value: dir}, nil
}

// exit has the functions of wasi:cli/exit.
type exit struct{}

// Exit implements bindings.ExitHost.
func (exit) Exit(_ context.Context, status typed.Result[typed.None, typed.None]) error {
	if status.Failed {
		return &wasi.ExitError{Code: 1}
	}
	return &wasi.ExitError{}
}

// ExitWithCode implements bindings.ExitHost.
func (exit) ExitWithCode(_ context.Context, code uint8) error {
	return &wasi.ExitError{Code: uint32(code)}
}

// stdin, stdout and stderr have the functions of the interfaces of these names.
type (
	stdin  struct{ host *Host }
	stdout struct{ host *Host }
	stderr struct{ host *Host }
)

// GetStdin implements bindings.StdinHost.
func (s stdin) GetStdin(context.Context) (bindings.InputStream, error) {
	if err := s.host.take(streams); err != nil {
		return nil, err
	}
	return &inputStream{host: s.host}, nil
}

// GetStdout implements bindings.StdoutHost.
func (s stdout) GetStdout(context.Context) (bindings.OutputStream, error) {
	return s.host.standard(s.host.guest.Stdout())
}

// GetStderr implements bindings.StderrHost.
func (s stderr) GetStderr(context.Context) (bindings.OutputStream, error) {
	return s.host.standard(s.host.guest.Stderr())
}

func (h *Host) standard(o *wasi.Output) (bindings.OutputStream, error) {
	if err := h.take(streams); err != nil {
		return nil, err
	}
	return &outputStream{host: h, standard: o}, nil
}

// terminal says that no stream is a terminal, as preview 1 does: no run has a terminal.
type terminal struct{}

// GetTerminalStdin implements bindings.TerminalStdinHost.
func (terminal) GetTerminalStdin(context.Context) (none typed.Option[bindings.TerminalInput], err error) {
	return none, nil
}

// GetTerminalStdout implements bindings.TerminalStdoutHost.
func (terminal) GetTerminalStdout(context.Context) (none typed.Option[bindings.TerminalOutput], err error) {
	return none, nil
}

// GetTerminalStderr implements bindings.TerminalStderrHost.
func (terminal) GetTerminalStderr(context.Context) (none typed.Option[bindings.TerminalOutput], err error) {
	return none, nil
}
