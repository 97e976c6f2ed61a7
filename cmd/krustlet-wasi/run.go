package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// runCommand is `krustlet-wasi run`. Its flags end where the module is named: what follows is the guest's.
func (p program) runCommand() *cobra.Command {
	flags := flagValues{}
	cmd := &cobra.Command{
		Use:   "run [flags] IMAGE|FILE.wasm [ARG...]",
		Short: "run one module as the node would, without a cluster",
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.runModule(cmd.Context(), flags, args)
		},
	}
	cmd.Flags().SetInterspersed(false)
	for _, f := range runFlags() {
		flag := cmd.Flags().VarPF(rawFlag{values: flags, name: f.name, arg: f.arg}, f.name, f.short, f.usage)
		if f.boolean {
			flag.NoOptDefVal = "true"
		}
	}
	cmd.Flags().BoolP("help", "h", false, "print this help")
	cmd.SetHelpFunc(func(*cobra.Command, []string) { printf(p.stdout, "%s", runHelp()) })
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return asRun(flagError(err, cmd.Flags())) })
	return cmd
}

// runModule runs the module. The result is nil or an *exitError.
func (p program) runModule(ctx context.Context, flags flagValues, args []string) error {
	c, err := loadRun(flags, args, p.env)
	if err != nil {
		return asRun(badUsage(err))
	}
	level := zapcore.WarnLevel
	if c.quiet {
		level = zapcore.ErrorLevel
	}
	log, _ := newLogger(Config{LogLevel: level, LogFormat: formatConsole}, p.stderr)
	ctx, stop := untilRunSignal(ctx, p.exit)
	defer stop()
	code, err := p.runInCache(ctx, c, log)
	var by *signalled
	if err != nil && errors.As(context.Cause(ctx), &by) {
		// It was still being pulled or compiled.
		return &exitError{code: by.code(), err: by, logged: true}
	}
	if err != nil {
		return asRun(err)
	}
	if code != exitOK {
		return &exitError{code: code, err: fmt.Errorf("the guest ended with code %d", code), logged: true}
	}
	return nil
}

// runInCache brings the module here and runs it. The error is of what prevents that; else code is the guest's end.
func (p program) runInCache(ctx context.Context, c runConfig, log *zap.Logger) (code int, err error) {
	sweepScratch(log)
	cache, err := openRunCache(c.cacheDir, c.cacheIsDefault, log)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, cache.close()) }()
	module, err := p.module(ctx, c, cache, log)
	if err != nil {
		return 0, err
	}
	spec, clean, err := c.spec(ctx, module)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, clean()) }()
	engine, err := newEngine(cache.compiled(), c, log)
	if err != nil {
		return 0, err
	}
	guest, err := engine.Start(ctx, spec, runtime.Streams{Stdin: p.stdin, Stdout: p.stdout, Stderr: p.stderr})
	if err != nil {
		if ctx.Err() != nil {
			return 0, err // the compilation ends with the process
		}
		return 0, errors.Join(startError(err), engine.Close())
	}
	code = p.await(ctx, c, guest)
	select {
	case <-guest.Done():
		return code, engine.Close()
	default:
		return code, nil // it is stuck, and the process ends with it
	}
}

// startError gives the error of a start its exit code.
func startError(err error) error {
	if errors.Is(err, runtime.ErrFull) {
		return err // no fault of the module's
	}
	return &exitError{code: exitCannotRun, err: err}
}

func (p program) module(ctx context.Context, c runConfig, cache runCache, log *zap.Logger) (runnable, error) {
	if isFile(c.target) {
		return fileModule(c.target)
	}
	return p.imageModule(ctx, c, cache, log)
}

// errTimedOut is the cause of a context whose guest has had its time.
var errTimedOut = errors.New("the guest has had its time")

// killPatience is how long a killed guest may take to be gone. It is gone in milliseconds, unless the machine is
// overloaded or something is wrong.
const killPatience = 5 * time.Second

// await waits for the guest's end, or brings it about, and gives the exit code.
func (p program) await(ctx context.Context, c runConfig, guest runtime.Process) int {
	if c.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, c.timeout, errTimedOut)
		defer cancel()
	}
	select {
	case <-guest.Done():
		return exitCode(guest.Exit(), nil)
	case <-ctx.Done():
	}
	cause := context.Cause(ctx)
	if errors.Is(cause, errTimedOut) {
		printf(p.stderr, "krustlet-wasi: the guest is stopped after --timeout=%v\n", c.timeout)
	}
	guest.Stop(c.grace)
	patience := time.NewTimer(c.grace + killPatience)
	defer patience.Stop()
	select {
	case <-guest.Done():
		return exitCode(guest.Exit(), cause)
	case <-patience.C:
		printf(p.stderr, "krustlet-wasi: the guest does not end, and is left behind\n")
		return exitCode(runtime.Exit{Code: exitKilled, Reason: runtime.Error, Message: "left behind"}, cause)
	}
}
