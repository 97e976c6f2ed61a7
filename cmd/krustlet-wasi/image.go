package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// imageVerb is one of the subcommands of `krustlet-wasi image`.
type imageVerb struct {
	name    string
	args    string // as in the line of its usage
	short   string
	long    string
	example string
	flags   []string // of the agent's settings, by their flags
	own     []setting
	atLeast int // arguments
	atMost  int // arguments; 0: any number
	run     func(ctx context.Context, run imageRun, args []string) error
}

// imageRun is one run of such a subcommand.
type imageRun struct {
	program
	cfg    Config // what concerns images, and the data directory
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

func outputFlag() setting {
	return setting{flag: "output", short: "o", arg: "FORMAT", usage: "what is printed: json, or text to read", def: "text"}
}

func quietFlag() setting {
	return setting{flag: "quiet", short: "q", arg: "true|false", kind: boolean, usage: "print no progress", def: "false"}
}

// imageVerbs are the subcommands, in the order of the help text.
func imageVerbs() []imageVerb {
	return []imageVerb{{
		name: "pull", args: "IMAGE...", short: "ask the registry for images, and fetch what is not here", atLeast: 1,
		long:    "Ask the registry for images, and fetch what is not on the node yet. Pods of the node\nthat name them then start without a pull, unless their pull policy is Always. An image\nwith a root filesystem is unpacked when the first pod needs it.",
		example: "krustlet-wasi image pull registry.example/hello:v1",
		flags:   slices.Concat(storeFlags, registryFlags, []string{flagModuleSize, "max-parallel-image-pulls"}),
		own: []setting{
			{flag: "unpack", arg: "true|false", kind: boolean, usage: "unpack them too: what cannot be unpacked is not pulled", def: "false"},
			outputFlag(), quietFlag(),
		},
		run: pullImages,
	}, {
		name: "ls", short: "list the node's images",
		long:    "List the images on the node: those that pods have had pulled, and those of `image pull`.",
		example: "krustlet-wasi image ls -o json",
		flags:   storeFlags,
		own:     []setting{outputFlag()},
		run:     listImages,
	}, {
		name: "rm", args: "IMAGE...", short: "remove images that no pod uses", atLeast: 1,
		long:    "Remove images, each with its compiled code. Of an image with several tags, only the\ntag that is named goes. What a pod of the node uses is not removed.",
		example: "krustlet-wasi image rm registry.example/hello:v1",
		flags:   storeFlags,
		own:     []setting{outputFlag()},
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
		own: []setting{
			{flag: "author", arg: "NAME", usage: "who made it, for the artifact's config", def: "none"}, outputFlag(), quietFlag(),
		},
		run: pushImage,
	}}
}

// imageCommand is `krustlet-wasi image`.
func (p program) imageCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "image",
		Short: "pull, list, remove and publish images",
		Args:  func(cmd *cobra.Command, args []string) error { return asImage(noArguments(cmd, args)) },
		RunE: func(*cobra.Command, []string) error {
			return asImage(badUsage(errors.New("name what to do with images: " + strings.Join(verbNames(), ", "))))
		},
	}
	cmd.Flags().BoolP("help", "h", false, "print this help")
	cmd.SetHelpFunc(func(*cobra.Command, []string) { printf(p.stdout, "%s", imageHelp()) })
	for _, v := range imageVerbs() {
		cmd.AddCommand(p.imageVerb(v))
	}
	return cmd
}

func verbNames() []string {
	var names []string
	for _, v := range imageVerbs() {
		names = append(names, v.name)
	}
	return names
}

func (p program) imageVerb(v imageVerb) *cobra.Command {
	flags := flagValues{}
	cmd := &cobra.Command{
		Use:   strings.TrimSpace(v.name + " [flags] " + v.args),
		Short: v.short,
		RunE: func(cmd *cobra.Command, args []string) error {
			return asImage(p.runImage(cmd.Context(), v, flags, args))
		},
	}
	flags.addTo(cmd.Flags(), v.settings())
	cmd.Flags().BoolP("help", "h", false, "print this help")
	cmd.SetHelpFunc(func(*cobra.Command, []string) { printf(p.stdout, "%s", verbHelp(v)) })
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return asImage(flagError(err, cmd.Flags())) })
	return cmd
}

// settings are what can be set by flags of the verb.
func (v imageVerb) settings() []setting {
	var all []setting
	for _, s := range settings() {
		if slices.Contains(v.flags, s.flag) {
			all = append(all, s)
		}
	}
	return append(all, v.own...)
}

// runImage reads the settings, as the agent does, and does what the verb says until a signal.
func (p program) runImage(ctx context.Context, v imageVerb, flags flagValues, args []string) error {
	if len(args) < v.atLeast || v.atLeast == 0 && len(args) > 0 || v.atMost > 0 && len(args) > v.atMost {
		return badUsage(fmt.Errorf("image %s: write krustlet-wasi image %s", v.name, strings.TrimSpace(v.name+" [flags] "+v.args)))
	}
	run := imageRun{program: p}
	if err := run.load(flags); err != nil {
		return badUsage(err)
	}
	ctx, stop := untilRunSignal(ctx, p.exit)
	defer stop()
	run.log, _ = newLogger(Config{LogLevel: zapcore.WarnLevel, LogFormat: formatConsole}, p.stderr)
	err := v.run(ctx, run, args)
	var by *signalled
	if err != nil && errors.As(context.Cause(ctx), &by) {
		return &exitError{code: by.code(), err: by, logged: true}
	}
	return err
}

// load reads the settings that the verb has. They come from the same sources as the agent's, so that what is set for it holds.
func (r *imageRun) load(flags flagValues) error {
	l := newLoader(flags, r.env, r.machine)
	l.gather()
	l.apply()
	l.fillPaths()
	l.checkImages()
	r.cfg = l.cfg
	for name, values := range flags {
		value := last(values)
		var err error
		switch name {
		case "output":
			if r.json = value == "json"; !r.json && value != "text" {
				err = fmt.Errorf("%q is no format: write text or json", value)
			}
		case "quiet":
			r.quiet, err = parseBool(value)
		case "unpack":
			r.unpack, err = parseBool(value)
		case "author":
			r.author = value
		}
		l.problems = append(l.problems, prefixed("flag --"+name, err)...)
	}
	return errors.Join(l.problems...)
}

// asImage points who has written something wrong to the help that is about it.
func asImage(err error) error {
	var exit *exitError
	if errors.As(err, &exit) && exit.code == exitUsage {
		return &exitError{code: exitUsage, err: exit.err, hint: "Run 'krustlet-wasi image --help' to see what can be done."}
	}
	return err
}

const imageHelpIntro = `Look after the images of a node, whether its agent runs or not, and publish modules.

Usage:
  krustlet-wasi image COMMAND

Commands:
`

const imageHelpOutro = `
'krustlet-wasi image COMMAND --help' prints the flags of a command. What is set for the
agent, by variables and in its configuration file, holds for these commands too.

Exit codes:
  0  done
  1  failed
  2  a flag, variable, key of the configuration file, argument, or file is wrong
  129, 130, 143  stopped by SIGHUP, SIGINT, SIGTERM
`

func imageHelp() string {
	var b strings.Builder
	b.WriteString(imageHelpIntro)
	for _, v := range imageVerbs() {
		fmt.Fprintf(&b, "  %-8s %s\n", v.name, v.short)
	}
	b.WriteString(imageHelpOutro)
	return b.String()
}

func verbHelp(v imageVerb) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\nUsage:\n  krustlet-wasi image %s\n\nExample:\n  %s\n\nFlags:\n",
		v.long, strings.TrimSpace(v.name+" [flags] "+v.args), v.example)
	for _, s := range v.settings() {
		b.WriteString(settingHelp(s))
	}
	b.WriteString("  -h, --help\n        print this help\n")
	return b.String()
}
