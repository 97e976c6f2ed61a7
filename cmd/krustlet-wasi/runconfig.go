package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// runConfig is what `krustlet-wasi run` is asked to do, understood and checked as far as that goes without a look
// at the module.
type runConfig struct {
	target   string   // FILE.wasm or IMAGE, as written
	args     []string // the guest's, without argv[0]
	argv0    string   // empty: named after the target
	env      []string // KEY=VALUE
	mounts   []runtime.Mount
	workDir  string // empty leaves it to the guest
	listen   []string
	memory   int64 // bytes; 0 is no limit
	cpu      int64 // thousandths of a core; 0 is no limit
	output   int64 // bytes per second of the standard streams; 0 is no limit
	timeout  time.Duration
	grace    time.Duration
	pull     pullPolicy
	insecure []string
	// maxModule bounds the module, in bytes.
	maxModule int64
	cacheDir  string // empty: a folder for this run alone
	// cacheIsDefault is set where nobody asked for this very cacheDir.
	cacheIsDefault bool
	quiet          bool
	unsafe         bool // an engine that lets guests out will do
}

// runFlag is one flag of `krustlet-wasi run`.
type runFlag struct {
	name    string
	short   string
	arg     string // what stands for the value
	boolean bool
	usage   string
	def     string
	// apply reads the values that were written behind the flag, in order; it is called if there are any.
	apply func(c *runConfig, values []string, env environment) error
}

// runFlags are all flags of `krustlet-wasi run` but --help, in the order of the help text.
func runFlags() []runFlag {
	return []runFlag{
		{
			name: "env", short: "e", arg: "KEY=VALUE", def: "none; the guest sees no variable of the host",
			usage: "Environment variable of the guest; KEY alone takes the value from this environment. May be repeated.",
			apply: func(c *runConfig, values []string, env environment) (err error) {
				c.env, err = parseEnv(values, env)
				return err
			},
		},
		{
			name: "dir", arg: "HOST[::GUEST[:ro]]", def: "none; the guest's / is an empty directory, or a copy of what the image has, removed at the end",
			usage: "Directory or file of the host that the guest sees at GUEST, read-only with :ro. HOST alone is seen under its own name: . at /, data at /data, /srv/data at /srv/data. May be repeated.",
			apply: func(c *runConfig, values []string, _ environment) (err error) {
				c.mounts, err = parseDirs(values)
				return err
			},
		},
		{
			name: "workdir", short: "w", arg: "GUESTDIR", def: "the image's WORKDIR, or /",
			usage: "Directory in which the guest starts (its variable PWD); it is made if it is missing.",
			apply: func(c *runConfig, values []string, _ environment) (err error) {
				c.workDir, err = parseGuestPath(last(values))
				return err
			},
		},
		{
			name: "argv0", arg: "NAME", def: "the image's ENTRYPOINT; else the file's name, or the last part of the image's",
			usage: "The guest's argv[0]. In an image with several modules it names the one to run.",
			apply: func(c *runConfig, values []string, _ environment) error {
				c.argv0 = last(values)
				return nil
			},
		},
		{
			name: "memory", short: "m", arg: "BYTES", def: "none",
			usage: "Limit of the guest's memory, as resources.limits.memory of a pod: 64Mi, 1Gi. A guest that dies at it ends with code 137.",
			apply: func(c *runConfig, values []string, _ environment) (err error) {
				c.memory, err = parseBytes(last(values), "memory", "64Mi")
				return err
			},
		},
		{
			name: "cpu", arg: "CORES", def: "none",
			usage: "Limit of the guest's processor time, as resources.limits.cpu of a pod: 250m, 1. The guest is held back, not ended.",
			apply: func(c *runConfig, values []string, _ environment) (err error) {
				c.cpu, err = parseCPU(last(values))
				return err
			},
		},
		{
			name: "output-rate", arg: "BYTES", def: "none",
			usage: "Limit of what the guest writes to standard output and error together, a second: 64Ki, 10Mi. A guest that writes more waits.",
			apply: func(c *runConfig, values []string, _ environment) (err error) {
				c.output, err = parseBytes(last(values), "output", "10Mi")
				return err
			},
		},
		{
			name: "listen", arg: "HOST:PORT", def: "none",
			usage: "TCP address at which the guest finds a listening socket: descriptor 3 for the first, 4 for the next; LISTEN_FDS tells it how many. May be repeated.",
			apply: func(c *runConfig, values []string, _ environment) (err error) {
				c.listen, err = parseListen(values)
				return err
			},
		},
		{
			name: "timeout", arg: "DURATION", def: "none",
			usage: "Stop the guest after this long, counted from its start: 30s, 5m. The exit code is then 124.",
			apply: func(c *runConfig, values []string, _ environment) (err error) {
				c.timeout, err = parseDuration(last(values))
				return err
			},
		},
		{
			name: "grace", arg: "DURATION", def: "0s",
			usage: "What is left to a guest that is to stop, on a signal or a time-out, before it is killed, as a pod's terminationGracePeriodSeconds.",
			apply: func(c *runConfig, values []string, _ environment) (err error) {
				c.grace, err = parseDuration(last(values))
				return err
			},
		},
		{
			name: "pull", arg: "always|missing|never", def: string(pullMissing),
			usage: "When to ask the registry: always, if the image is not in the cache, or never.",
			apply: func(c *runConfig, values []string, _ environment) (err error) {
				c.pull, err = parsePullPolicy(last(values))
				return err
			},
		},
		{
			name: "insecure-registries", arg: "HOST[:PORT],...", def: "$" + insecureVariable + "; loopback addresses and localhost always are",
			usage: "Registries to be spoken to without TLS, or with certificates that are not verified.",
			apply: func(c *runConfig, values []string, _ environment) (err error) {
				c.insecure, err = parseRegistries(splitList(strings.Join(values, ",")))
				return err
			},
		},
		{
			name: flagModuleSize, arg: "BYTES", def: "256Mi",
			usage: "Size of the largest module that is pulled and run: 64Mi, up to 1Gi.",
			apply: func(c *runConfig, values []string, _ environment) (err error) {
				c.maxModule, err = parseModuleSize(last(values))
				return err
			},
		},
		{
			name: "cache-dir", arg: "DIR", def: "$XDG_CACHE_HOME/krustlet-wasi, or $HOME/.cache/krustlet-wasi",
			usage: "Where images and compiled modules are kept. Any number of runs may share it; it may be deleted while none runs.",
			apply: func(c *runConfig, values []string, _ environment) error {
				c.cacheDir, c.cacheIsDefault = last(values), false
				if c.cacheDir == "" {
					return errors.New("write a directory's path")
				}
				return nil
			},
		},
		{
			name: "quiet", short: "q", arg: "true|false", boolean: true, def: "false",
			usage: "Say nothing but errors, and why a guest was ended.",
			apply: func(c *runConfig, values []string, _ environment) (err error) {
				c.quiet, err = parseBool(last(values))
				return err
			},
		},
		{
			name: "x-allow-unsafe-engine", arg: "true|false", boolean: true, def: "false",
			usage: "Run the guest with an engine that lets it out: wasmtime 39 on arm64.",
			apply: func(c *runConfig, values []string, _ environment) (err error) {
				c.unsafe, err = parseBool(last(values))
				return err
			},
		},
	}
}

// insecureVariable is the agent's own, so that what is set for it holds here.
const insecureVariable = "KRUSTLET_INSECURE_REGISTRIES"

// loadRun makes a runConfig of flags and arguments. Its error joins all that is wrong, a line each.
func loadRun(flags flagValues, args []string, env environment) (runConfig, error) {
	if len(args) == 0 || args[0] == "" {
		return runConfig{}, errors.New("nothing to run: name a FILE.wasm or an IMAGE")
	}
	c := runConfig{target: args[0], args: args[1:], pull: pullMissing, maxModule: runtime.DefaultMaxModule, cacheDir: defaultCacheDir(env), cacheIsDefault: true}
	var errs []error
	for _, f := range runFlags() {
		if values := flags[f.name]; len(values) > 0 {
			errs = append(errs, prefixed("flag --"+f.name, f.apply(&c, values, env))...)
		}
	}
	if _, set := flags["insecure-registries"]; !set {
		if value, ok := env(insecureVariable); ok {
			var err error
			c.insecure, err = parseRegistries(splitList(value))
			errs = append(errs, prefixed("environment variable "+insecureVariable, err)...)
		}
	}
	return c, errors.Join(errs...)
}

// prefixed says of each problem in err where it is.
func prefixed(where string, err error) []error {
	if err == nil {
		return nil
	}
	var errs []error
	for _, e := range problems(err) {
		errs = append(errs, fmt.Errorf("%s: %w", where, e))
	}
	return errs
}

func last(values []string) string { return values[len(values)-1] }
