// Package image is `krustlet-wasi image`, which manages a node's images, with or without a running
// agent. image.go has its subcommands, verbs.go has what they do, and output.go has what they
// print. docs/registries.md describes them to users.
package image

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/krustlet-go/krustlet-wasi/cmd/krustlet-wasi/cmdline"
	"github.com/krustlet-go/krustlet-wasi/cmd/krustlet-wasi/config"
	"github.com/krustlet-go/krustlet-wasi/cmd/krustlet-wasi/exit"
	"github.com/krustlet-go/krustlet-wasi/cmd/krustlet-wasi/logging"
)

// Program is `krustlet-wasi image` in its process.
type Program struct {
	cmdline.Process
	Machine config.Machine
	Version string // of krustlet-wasi
}

// verb is one of the subcommands.
type verb struct {
	name    string
	args    string // as in the line with the usage
	short   string
	long    string
	example string
	flags   []string // the names of the agent's flags that it has
	own     []cmdline.Flag
	atLeast int // the least number of arguments
	atMost  int // the largest number of arguments; 0: no limit
	run     func(ctx context.Context, j job, args []string) error
}

// job is one execution of a subcommand, with the user's settings.
type job struct {
	Program
	cfg    config.Config // the settings of images, and the data directory
	json   bool
	quiet  bool
	unpack bool
	author string
	log    *zap.Logger
}

var (
	storeFlags    = []string{"config", "data-dir"}
	registryFlags = []string{"insecure-registries", "registry-ca", "registry-config-dir", "image-credential-provider-config", "image-credential-provider-bin-dir"}
)

func outputFlag() cmdline.Flag {
	return cmdline.Flag{Name: "output", Short: "o", Arg: "FORMAT", Usage: "what is printed: json, or text to read", Default: "text"}
}

func quietFlag() cmdline.Flag {
	return cmdline.Flag{Name: "quiet", Short: "q", Arg: "true|false", Boolean: true, Usage: "print no progress", Default: "false"}
}

// verbs are the subcommands, in the order of the help text.
func verbs() []verb {
	return []verb{{
		name: "pull", args: "IMAGE...", short: "ask the registry for images, and fetch what is not here", atLeast: 1,
		long:    "Ask the registry for images, and fetch what is not on the node yet. Pods of the node\nthat name them then start without a pull, unless their pull policy is Always. An image\nwith a root filesystem is unpacked when the first pod needs it.",
		example: "krustlet-wasi image pull registry.example/hello:v1",
		flags:   slices.Concat(storeFlags, registryFlags, []string{config.FlagModuleSize, "max-parallel-image-pulls"}),
		own: []cmdline.Flag{
			{Name: "unpack", Arg: "true|false", Boolean: true, Usage: "unpack them too: what cannot be unpacked is not pulled", Default: "false"},
			outputFlag(), quietFlag(),
		},
		run: pullImages,
	}, {
		name: "ls", short: "list the node's images",
		long:    "List the images on the node: those that pods have had pulled, and those of `image pull`.",
		example: "krustlet-wasi image ls -o json",
		flags:   storeFlags,
		own:     []cmdline.Flag{outputFlag()},
		run:     listImages,
	}, {
		name: "rm", args: "IMAGE...", short: "remove images that no pod uses", atLeast: 1,
		long:    "Remove images, each with its compiled code. Of an image with several tags, only the\ntag that is named goes. What a pod of the node uses is not removed.",
		example: "krustlet-wasi image rm registry.example/hello:v1",
		flags:   storeFlags,
		own:     []cmdline.Flag{outputFlag()},
		run:     removeImages,
	}, {
		name: "inspect", args: "IMAGE...", short: "tell what is known of images, as JSON", atLeast: 1,
		long:    "Tell what is known of images on the node, as a JSON array.",
		example: "krustlet-wasi image inspect registry.example/hello:v1",
		flags:   storeFlags,
		run:     inspectImages,
	}, {
		name: "push", args: "FILE.wasm IMAGE", short: "publish a module or component", atLeast: 2, atMost: 2,
		long:    "Publish a module or component as an image that this node, and other runtimes for\nWebAssembly, can run: a CNCF wasm artifact.",
		example: "krustlet-wasi image push hello.wasm registry.example/hello:v1",
		flags:   slices.Concat(storeFlags, registryFlags),
		own: []cmdline.Flag{
			{Name: "author", Arg: "NAME", Usage: "who made it, for the artifact's config", Default: "none"}, outputFlag(), quietFlag(),
		},
		run: pushImage,
	}}
}

// Command is `krustlet-wasi image`.
func (p Program) Command() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "image",
		Short: "pull, list, remove and publish images",
		Args:  func(cmd *cobra.Command, args []string) error { return asImage(cmdline.NoArguments(cmd, args)) },
		RunE: func(*cobra.Command, []string) error {
			return asImage(exit.BadUsage(errors.New("name what to do with images: " + strings.Join(verbNames(), ", "))))
		},
	}
	cmd.Flags().BoolP("help", "h", false, "print this help")
	cmd.SetHelpFunc(func(*cobra.Command, []string) { cmdline.Printf(p.Stdout, "%s", help()) })
	for _, v := range verbs() {
		cmd.AddCommand(p.subcommand(v))
	}
	return cmd
}

func verbNames() []string {
	var names []string
	for _, v := range verbs() {
		names = append(names, v.name)
	}
	return names
}

func (p Program) subcommand(v verb) *cobra.Command {
	flags := cmdline.Values{}
	cmd := &cobra.Command{
		Use:   strings.TrimSpace(v.name + " [flags] " + v.args),
		Short: v.short,
		RunE: func(cmd *cobra.Command, args []string) error {
			return asImage(p.do(cmd.Context(), v, flags, args))
		},
	}
	flags.Define(cmd.Flags(), v.allFlags()...)
	cmd.Flags().BoolP("help", "h", false, "print this help")
	cmd.SetHelpFunc(func(*cobra.Command, []string) { cmdline.Printf(p.Stdout, "%s", verbHelp(v)) })
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return asImage(cmdline.FlagError(err, cmd.Flags())) })
	return cmd
}

// allFlags are the flags of the verb.
func (v verb) allFlags() []cmdline.Flag { return append(config.FlagsOf(v.flags...), v.own...) }

// do reads the settings in the same way as the agent, and carries out the verb, until a signal.
func (p Program) do(ctx context.Context, v verb, flags cmdline.Values, args []string) error {
	if len(args) < v.atLeast || v.atLeast == 0 && len(args) > 0 || v.atMost > 0 && len(args) > v.atMost {
		return exit.BadUsage(fmt.Errorf("image %s: write krustlet-wasi image %s", v.name, strings.TrimSpace(v.name+" [flags] "+v.args)))
	}
	j := job{Program: p}
	if err := j.load(flags); err != nil {
		return exit.BadUsage(err)
	}
	ctx, stop := exit.UntilSignalOrHangup(ctx, p.Exit)
	defer stop()
	j.log, _ = logging.New(zapcore.WarnLevel, logging.Console, p.Stderr)
	err := v.run(ctx, j, args)
	var by *exit.Signalled
	if err != nil && errors.As(context.Cause(ctx), &by) {
		return &exit.Error{Code: by.Code(), Err: by, Logged: true}
	}
	return err
}

// load reads the settings of the verb. They have the same sources as the agent's, so that the
// agent's settings apply here too.
func (j *job) load(flags cmdline.Values) error {
	cfg, err := config.LoadImages(flags, j.Env, j.Machine)
	j.cfg = cfg
	errs := []error{err}
	for name := range flags {
		value := flags.Last(name)
		var err error
		switch name {
		case "output":
			if j.json = value == "json"; !j.json && value != "text" {
				err = fmt.Errorf("%q is no format: write text or json", value)
			}
		case "quiet":
			j.quiet, err = config.ParseBool(value)
		case "unpack":
			j.unpack, err = config.ParseBool(value)
		case "author":
			j.author = value
		}
		errs = append(errs, exit.Prefixed("flag --"+name, err)...)
	}
	return errors.Join(errs...)
}

// asImage changes the hint of a mistake: it names the help of `image`.
func asImage(err error) error {
	var found *exit.Error
	if errors.As(err, &found) && found.Code == exit.Usage {
		return &exit.Error{Code: exit.Usage, Err: found.Err, Hint: "Run 'krustlet-wasi image --help' to see what can be done."}
	}
	return err
}

const helpIntro = `Look after the images of a node, whether its agent runs or not, and publish modules.

Usage:
  krustlet-wasi image COMMAND

Commands:
`

const helpOutro = `
'krustlet-wasi image COMMAND --help' prints the flags of a command. What is set for the
agent, by variables and in its configuration file, holds for these commands too.

Exit codes:
  0  done
  1  failed
  2  a flag, variable, key of the configuration file, argument, or file is wrong
  129, 130, 143  stopped by SIGHUP, SIGINT, SIGTERM
`

func help() string {
	var b strings.Builder
	b.WriteString(helpIntro)
	for _, v := range verbs() {
		fmt.Fprintf(&b, "  %-8s %s\n", v.name, v.short)
	}
	b.WriteString(helpOutro)
	return b.String()
}

func verbHelp(v verb) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\nUsage:\n  krustlet-wasi image %s\n\nExample:\n  %s\n\nFlags:\n",
		v.long, strings.TrimSpace(v.name+" [flags] "+v.args), v.example)
	for _, f := range v.allFlags() {
		b.WriteString(f.Help())
	}
	b.WriteString("  -h, --help\n        print this help\n")
	return b.String()
}
