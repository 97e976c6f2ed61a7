// Package run is `krustlet-wasi run`, which runs one module without a cluster. settings.go and
// values.go read its flags. module.go finds the module, and cache.go has the folders for it. run.go
// runs the module. exit.go turns the guest's end into the exit code. docs/run.md describes the
// command to users.
package run

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/krustlet-go/krustlet-wasi/cmd/krustlet-wasi/cmdline"
	"github.com/krustlet-go/krustlet-wasi/cmd/krustlet-wasi/exit"
	"github.com/krustlet-go/krustlet-wasi/cmd/krustlet-wasi/logging"
	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/network"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasmtime"
)

// Program is `krustlet-wasi run` in its process.
type Program struct {
	cmdline.Process
	Version  string   // of krustlet-wasi
	Compiler []string // the command that compiles a module for the engine
}

// Command is `krustlet-wasi run`. Its flags come before the module. Everything after the module is
// an argument of the guest.
func (p Program) Command() *cobra.Command {
	flags := cmdline.Values{}
	cmd := &cobra.Command{
		Use:   "run [flags] IMAGE|FILE.wasm [ARG...]",
		Short: "run one module as the node would, without a cluster",
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.runModule(cmd.Context(), flags, args)
		},
	}
	cmd.Flags().SetInterspersed(false)
	for _, f := range flagTable() {
		flags.Define(cmd.Flags(), f.Flag)
	}
	cmd.Flags().BoolP("help", "h", false, "print this help")
	cmd.SetHelpFunc(func(*cobra.Command, []string) { cmdline.Printf(p.Stdout, "%s", help()) })
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return asRun(cmdline.FlagError(err, cmd.Flags())) })
	return cmd
}

// runModule runs the module. The result is nil or an *exit.Error.
func (p Program) runModule(ctx context.Context, flags cmdline.Values, args []string) error {
	c, err := load(flags, args, p.Env)
	if err != nil {
		return asRun(exit.BadUsage(err))
	}
	level := zapcore.WarnLevel
	if c.quiet {
		level = zapcore.ErrorLevel
	}
	log, _ := logging.New(level, logging.Console, p.Stderr)
	ctx, stop := exit.UntilSignalOrHangup(ctx, p.Exit)
	defer stop()
	code, err := p.runInCache(ctx, c, log)
	var by *exit.Signalled
	if err != nil && errors.As(context.Cause(ctx), &by) {
		// The signal came while the module was being pulled or compiled.
		return &exit.Error{Code: by.Code(), Err: by, Logged: true}
	}
	if err != nil {
		return asRun(err)
	}
	if code != exit.OK {
		return &exit.Error{Code: code, Err: fmt.Errorf("the guest ended with code %d", code), Logged: true}
	}
	return nil
}

// runInCache fetches the module and runs it. code is the guest's. The error says why the guest
// could not run.
func (p Program) runInCache(ctx context.Context, c settings, log *zap.Logger) (code int, err error) {
	sweepScratch(log)
	store, err := openCache(c.cacheDir, c.cacheIsDefault, log)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, store.close()) }()
	module, err := p.module(ctx, c, store, log)
	if err != nil {
		return 0, err
	}
	spec, clean, err := c.spec(ctx, module)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, clean()) }()
	cluster := network.NewCluster(nil) // which the engine closes
	engine, err := p.newEngine(store.compiled(), c, cluster, log)
	if err != nil {
		return 0, err
	}
	guest, err := engine.Start(ctx, spec, runtime.Streams{Stdin: p.Stdin, Stdout: p.Stdout, Stderr: p.Stderr})
	if err != nil {
		if ctx.Err() != nil {
			return 0, err // the compilation ends when the process exits
		}
		return 0, errors.Join(startError(err), engine.Close())
	}
	ctx, cancel := c.timed(ctx)
	defer cancel()
	if addresses := served(guest); len(addresses) > 0 {
		p.sayAddresses(addresses)
		if c.watch {
			guest, err = p.watch(ctx, c, engine, spec, guest)
			if err != nil {
				return 0, errors.Join(startError(err), engine.Close())
			}
		}
	} else if c.watch {
		guest.Stop(0)
		<-guest.Done()
		return 0, errors.Join(exit.BadUsage(errWatch), engine.Close())
	}
	code = p.await(ctx, c, guest)
	warnOfDenials(cluster.Refused(), log)
	select {
	case <-guest.Done():
		return code, engine.Close()
	default:
		return code, nil // the guest is stuck; it ends when the process exits
	}
}

// newEngine makes an engine that keeps compiled code in the folder compiled.
func (p Program) newEngine(compiled string, c settings, cluster *network.Cluster, log *zap.Logger) (*wasmtime.Engine, error) {
	return wasmtime.New(wasmtime.Config{
		CacheDir:      compiled,
		Compiler:      p.Compiler,
		MaxModuleSize: c.maxModule,
		Network:       cluster,
		Log:           log.Named("engine"),

		AllowUnsafeEngine: c.unsafe,
	})
}

// warnOfDenials says where the guest was not allowed to connect to.
func warnOfDenials(denials []runtime.PodDenial, log *zap.Logger) {
	for _, d := range denials {
		log.Warn("the guest may not connect there; allow it with --egress", zap.String("target", d.Target), zap.Int64("times", d.Times))
	}
}

// startError gives the error of a start its exit code.
func startError(err error) error {
	if errors.Is(err, runtime.ErrFull) {
		return err // the module is not the cause
	}
	return &exit.Error{Code: exitCannotRun, Err: err}
}

func (p Program) module(ctx context.Context, c settings, store cache, log *zap.Logger) (runnable, error) {
	if isFile(c.target) {
		return fileModule(c.target)
	}
	return p.imageModule(ctx, c, store, log)
}

// errTimedOut is the cause of a context whose guest has used up its time.
var errTimedOut = errors.New("the guest has had its time")

// killPatience is how long a killed guest may take to end. Usually it takes milliseconds; more if
// the machine is overloaded or something is wrong.
const killPatience = 5 * time.Second

// timed is the context of a guest's run, which ends after --timeout.
func (c settings) timed(ctx context.Context) (context.Context, context.CancelFunc) {
	if c.timeout <= 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeoutCause(ctx, c.timeout, errTimedOut)
}

// await waits until the guest ends, or ends it when the context does, and returns the exit code.
func (p Program) await(ctx context.Context, c settings, guest runtime.Guest) int {
	select {
	case <-guest.Done():
		return exitCode(guest.Exit(), nil)
	case <-ctx.Done():
	}
	cause := context.Cause(ctx)
	if errors.Is(cause, errTimedOut) {
		cmdline.Printf(p.Stderr, "krustlet-wasi: the guest is stopped after --timeout=%v\n", c.timeout)
	}
	guest.Stop(c.grace)
	patience := time.NewTimer(c.grace + killPatience)
	defer patience.Stop()
	select {
	case <-guest.Done():
		return exitCode(guest.Exit(), cause)
	case <-patience.C:
		cmdline.Printf(p.Stderr, "krustlet-wasi: the guest does not end, and is left behind\n")
		return exitCode(runtime.Exit{Code: exitKilled, Reason: runtime.Error, Message: "left behind"}, cause)
	}
}
