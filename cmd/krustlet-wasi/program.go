package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"go.uber.org/zap"
)

// program is krustlet-wasi with its surroundings, which tests replace.
type program struct {
	env            environment
	stdin          io.Reader
	stdout, stderr io.Writer
	machine        machine
	agent          func(context.Context, Config, *zap.Logger, zap.AtomicLevel) error
	exit           func(code int) // ends the process; called on a second signal only
}

func (p program) run(args []string) int {
	root := p.rootCommand()
	var subcommands []string
	for _, c := range root.Commands() {
		subcommands = append(subcommands, c.Name())
	}
	root.SetArgs(joinBoolean(args, subcommands))
	return report(root.ExecuteContext(context.Background()), p.stderr)
}

// rootCommand is the agent; the other things that the program does are its subcommands.
func (p program) rootCommand() *cobra.Command {
	flags := flagValues{}
	root := &cobra.Command{
		Use:           "krustlet-wasi",
		Short:         "A kubelet whose containers are WebAssembly modules",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.runNode(cmd.Context(), flags)
		},
	}
	flags.addTo(root.Flags(), settings())
	root.Flags().BoolP("help", "h", false, "print this help")
	// Krustlet's letter for it, where cobra would take -v.
	root.Flags().BoolP("version", "V", false, "print the version")
	root.Version = versionLine()
	root.SetVersionTemplate("{{.Version}}\n")
	root.SetOut(p.stdout)
	root.SetErr(p.stderr)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return flagError(err, cmd.Flags()) })
	help := root.HelpFunc()
	root.SetHelpFunc(func(cmd *cobra.Command, args []string) {
		if cmd == root {
			printf(p.stdout, "%s", rootHelp(root))
			return
		}
		help(cmd, args)
	})
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetHelpCommand(&cobra.Command{Use: "no-help", Hidden: true}) // --help is the one way
	root.AddCommand(p.runCommand(), p.imageCommand())
	return root
}

// noArguments also gets what is meant for a subcommand and is none.
func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var known []string
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() {
			known = append(known, c.Name())
		}
	}
	return badUsage(fmt.Errorf("unknown argument %q%s", args[0], didYouMean(args[0], known)))
}

// runNode reads the settings and runs the node until a signal.
func (p program) runNode(ctx context.Context, flags flagValues) error {
	cfg, err := load(ctx, flags, p.env, p.machine)
	if err != nil {
		return err
	}
	log, level := newLogger(cfg, p.stderr)
	// Never taken down: client-go's recorder of events, which nobody can wait for, may log until the process ends.
	_ = bridgeLibraryLogs(log)
	err = p.runLocked(ctx, cfg, log, level)
	if err != nil && cfg.LogFormat == formatJSON {
		// From here on, whatever reads the log expects JSON on every line.
		log.Error("krustlet-wasi ends", zap.Error(err))
		return &exitError{code: codeOf(err), err: err, logged: true}
	}
	return err
}

// runLocked runs the agent while it holds the data directory.
func (p program) runLocked(ctx context.Context, cfg Config, log *zap.Logger, level zap.AtomicLevel) error {
	warnOfModes(cfg, p.env, log)
	lock, err := prepareDataDir(cfg.DataDir, log)
	if err != nil {
		return err
	}
	defer lock.release()
	ctx, stop := untilSignal(ctx, log, p.exit)
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
