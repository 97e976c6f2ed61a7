package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/krustlet-go/krustlet-wasi/cmd/krustlet-wasi/cmdline"
	"github.com/krustlet-go/krustlet-wasi/cmd/krustlet-wasi/config"
	"github.com/krustlet-go/krustlet-wasi/cmd/krustlet-wasi/exit"
	"github.com/krustlet-go/krustlet-wasi/cmd/krustlet-wasi/image"
	"github.com/krustlet-go/krustlet-wasi/cmd/krustlet-wasi/logging"
	"github.com/krustlet-go/krustlet-wasi/cmd/krustlet-wasi/run"
)

// program is krustlet-wasi in its process. Tests replace the parts of the machine that it uses.
type program struct {
	cmdline.Process
	machine config.Machine
	agent   func(context.Context, config.Config, *zap.Logger, zap.AtomicLevel) error
}

func (p program) run(args []string) int {
	root := p.rootCommand()
	var subcommands []string
	for _, c := range root.Commands() {
		subcommands = append(subcommands, c.Name())
	}
	return cmdline.Execute(root, cmdline.JoinBoolean(config.FlagLocalModules, args, subcommands), p.Stderr)
}

// rootCommand is the agent. The program's other functions are its subcommands.
func (p program) rootCommand() *cobra.Command {
	flags := cmdline.Values{}
	root := &cobra.Command{
		Use:   "krustlet-wasi",
		Short: "A kubelet whose containers are WebAssembly modules",
		Args:  cmdline.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.runNode(cmd.Context(), flags)
		},
	}
	flags.Define(root.Flags(), config.Flags()...)
	root.Flags().BoolP("help", "h", false, "print this help")
	// Krustlet has the letter V. Cobra would use -v.
	root.Flags().BoolP("version", "V", false, "print the version")
	root.Version = versionLine()
	root.SetVersionTemplate("{{.Version}}\n")
	root.SetOut(p.Stdout)
	root.SetErr(p.Stderr)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return cmdline.FlagError(err, cmd.Flags()) })
	help := root.HelpFunc()
	root.SetHelpFunc(func(cmd *cobra.Command, args []string) {
		if cmd == root {
			cmdline.Printf(p.Stdout, "%s", rootHelp(root))
			return
		}
		help(cmd, args)
	})
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetHelpCommand(&cobra.Command{Use: "no-help", Hidden: true}) // --help is the only way to the help
	root.AddCommand(
		run.Program{Process: p.Process, Version: programVersion(), Compiler: selfCompiler}.Command(),
		image.Program{Process: p.Process, Machine: p.machine, Version: programVersion()}.Command(),
	)
	return root
}

// runNode reads the settings and runs the node until a signal.
func (p program) runNode(ctx context.Context, flags cmdline.Values) error {
	cfg, err := config.Load(ctx, flags, p.Env, p.machine)
	if err != nil {
		return err
	}
	log, level := logging.New(cfg.LogLevel, cfg.LogFormat, p.Stderr)
	// The bridge stays until the process exits. client-go's recorder of events may log until then,
	// and offers no way to wait for its end.
	_ = logging.BridgeLibraries(log)
	err = p.runLocked(ctx, cfg, log, level)
	if err != nil && cfg.LogFormat == logging.JSON {
		// From here on, readers of the log expect each line to be JSON.
		log.Error("krustlet-wasi ends", zap.Error(err))
		return &exit.Error{Code: exit.CodeOf(err), Err: err, Logged: true}
	}
	return err
}

// runLocked runs the agent while it holds the data directory.
func (p program) runLocked(ctx context.Context, cfg config.Config, log *zap.Logger, level zap.AtomicLevel) error {
	config.WarnOfModes(cfg, p.Env, log)
	lock, err := prepareDataDir(cfg.DataDir, log)
	if err != nil {
		return err
	}
	defer lock.release()
	ctx, stop := exit.UntilSignal(ctx, func(s *exit.Signalled) {
		log.Info("stopping; a second signal ends the process at once", zap.Stringer("signal", s.Signal))
	}, p.Exit)
	defer stop()
	log.Info("starting",
		zap.String("version", programVersion()),
		zap.String("node", cfg.NodeName),
		zap.Stringer("nodeIP", cfg.NodeIP),
		zap.Stringer("address", cfg.Addr),
		zap.Int("port", cfg.Port),
		zap.String("dataDir", cfg.DataDir),
		zap.String("kubeconfig", cfg.Kubeconfig))
	err = p.agent(ctx, cfg, log, level)
	if err == nil || ctx.Err() != nil && errors.Is(err, context.Canceled) {
		log.Info("stopped", zap.String("node", cfg.NodeName))
		return nil
	}
	return err
}
