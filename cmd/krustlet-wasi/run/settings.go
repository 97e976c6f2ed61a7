package run

import (
	"errors"
	"strings"
	"time"

	"github.com/krustlet-go/krustlet-wasi/cmd/krustlet-wasi/cmdline"
	"github.com/krustlet-go/krustlet-wasi/cmd/krustlet-wasi/config"
	"github.com/krustlet-go/krustlet-wasi/cmd/krustlet-wasi/exit"
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// settings is what the user wants `krustlet-wasi run` to do. It is checked as far as that is
// possible without the module.
type settings struct {
	target   string   // FILE.wasm or IMAGE, as written
	args     []string // the guest's arguments, without argv[0]
	argv0    string   // empty: the target's name
	env      []string // KEY=VALUE
	mounts   []runtime.Mount
	workDir  string // empty: the guest's default
	listen   []string
	egress   string // a list, as package egress reads it
	machine  bool   // the egress is everything: the guest may bind to all addresses and ports, too
	memory   int64  // bytes; 0: no limit
	cpu      int64  // thousandths of a core; 0: no limit
	output   int64  // bytes per second of the standard streams; 0: no limit
	timeout  time.Duration
	grace    time.Duration
	pull     pullPolicy
	insecure []string
	// maxModule is the largest size of the module, in bytes.
	maxModule int64
	cacheDir  string // empty: this run has a folder of its own
	// cacheIsDefault is set if the user did not name cacheDir.
	cacheIsDefault bool
	quiet          bool
	watch          bool // serve the file again when it has changed
	http           runtime.HTTP
	unsafe         bool // an engine with known escapes of guests is allowed
}

// flag is one flag of `krustlet-wasi run`.
type flag struct {
	cmdline.Flag
	// apply reads the values that the user wrote for the flag, in order. It is called only if there
	// are some.
	apply func(c *settings, values []string, env cmdline.Environment) error
}

// flagTable has all flags of `krustlet-wasi run` except --help, in the order of the help text.
func flagTable() []flag {
	return []flag{
		{
			Flag: cmdline.Flag{
				Name: "env", Short: "e", Arg: "KEY=VALUE", Default: "none; the guest sees no variable of the host",
				Usage: "Environment variable of the guest; KEY alone takes the value from this environment. May be repeated.",
			},
			apply: func(c *settings, values []string, env cmdline.Environment) (err error) {
				c.env, err = parseEnv(values, env)
				return err
			},
		},
		{
			Flag: cmdline.Flag{
				Name: "dir", Arg: "HOST[::GUEST[:ro]]", Default: "none; the guest's / is an empty directory, or a copy of what the image has, removed at the end",
				Usage: "Directory or file of the host that the guest sees at GUEST, read-only with :ro. HOST alone is seen under its own name: . at /, data at /data, /srv/data at /srv/data. May be repeated.",
			},
			apply: func(c *settings, values []string, _ cmdline.Environment) (err error) {
				c.mounts, err = parseDirs(values)
				return err
			},
		},
		{
			Flag: cmdline.Flag{
				Name: "workdir", Short: "w", Arg: "GUESTDIR", Default: "the image's WORKDIR, or /",
				Usage: "Directory in which the guest starts (its variable PWD); it is made if it is missing.",
			},
			apply: func(c *settings, values []string, _ cmdline.Environment) (err error) {
				c.workDir, err = parseGuestPath(last(values))
				return err
			},
		},
		{
			Flag: cmdline.Flag{
				Name: "argv0", Arg: "NAME", Default: "the image's ENTRYPOINT; else the file's name, or the last part of the image's",
				Usage: "The guest's argv[0]. In an image with several modules it names the one to run.",
			},
			apply: func(c *settings, values []string, _ cmdline.Environment) error {
				c.argv0 = last(values)
				return nil
			},
		},
		{
			Flag: cmdline.Flag{
				Name: "memory", Short: "m", Arg: "BYTES", Default: "none",
				Usage: "Limit of the guest's memory, as resources.limits.memory of a pod: 64Mi, 1Gi. A guest that needs more ends with code 137.",
			},
			apply: func(c *settings, values []string, _ cmdline.Environment) (err error) {
				c.memory, err = config.ParseBytes(last(values), "memory", "64Mi")
				return err
			},
		},
		{
			Flag: cmdline.Flag{
				Name: "cpu", Arg: "CORES", Default: "none",
				Usage: "Limit of the guest's processor time, as resources.limits.cpu of a pod: 250m, 1. The guest is held back, not ended.",
			},
			apply: func(c *settings, values []string, _ cmdline.Environment) (err error) {
				c.cpu, err = parseCPU(last(values))
				return err
			},
		},
		{
			Flag: cmdline.Flag{
				Name: "output-rate", Arg: "BYTES", Default: "none",
				Usage: "Limit of what the guest writes to standard output and error together, a second: 64Ki, 10Mi. A guest that writes more waits.",
			},
			apply: func(c *settings, values []string, _ cmdline.Environment) (err error) {
				c.output, err = config.ParseBytes(last(values), "output", "10Mi")
				return err
			},
		},
		{
			Flag: cmdline.Flag{
				Name: "listen", Arg: "HOST:PORT", Default: "none",
				Usage: "TCP address at which an HTTP handler is served; port 0 takes a free one. A module finds a listening socket: descriptor 3 for the first, 4 for the next; LISTEN_FDS tells it how many. May be repeated.",
			},
			apply: func(c *settings, values []string, _ cmdline.Environment) (err error) {
				c.listen, err = parseListen(values)
				return err
			},
		},
		{
			Flag: cmdline.Flag{
				Name: "egress", Arg: "LIST", Default: "none; the guest connects to nothing, and looks up no name",
				Usage: "Where the guest may connect to: names, *.names, addresses and ranges, with or without a port, with commas between; as annotation krustlet-wasi.dev/egress of a pod. With * to everything, this machine included, and it may listen at all ports. May be repeated.",
			},
			apply: func(c *settings, values []string, _ cmdline.Environment) (err error) {
				c.egress = strings.Join(values, ",")
				c.machine, err = parseEgress(c.egress)
				return err
			},
		},
		{
			Flag: cmdline.Flag{
				Name: "http", Arg: "NAME=VALUE", Default: "none",
				Usage: "Setting of an HTTP handler, as annotation krustlet-wasi.dev/http-NAME of a pod: reuse=100, access-log=true, timeout=30s. May be repeated.",
			},
			apply: func(c *settings, values []string, _ cmdline.Environment) error { return parseHTTP(&c.http, values) },
		},
		{
			Flag: cmdline.Flag{
				Name: "watch", Boolean: true, Default: "false",
				Usage: "Serve the HTTP handler again from its file whenever that has changed.",
			},
			apply: func(c *settings, values []string, _ cmdline.Environment) (err error) {
				c.watch, err = config.ParseBool(last(values))
				return err
			},
		},
		{
			Flag: cmdline.Flag{
				Name: "timeout", Arg: "DURATION", Default: "none",
				Usage: "Stop the guest after this long, counted from its start: 30s, 5m. The exit code is then 124.",
			},
			apply: func(c *settings, values []string, _ cmdline.Environment) (err error) {
				c.timeout, err = config.ParseDuration(last(values))
				return err
			},
		},
		{
			Flag: cmdline.Flag{
				Name: "grace", Arg: "DURATION", Default: "0s",
				Usage: "How long a guest may take to stop after a signal or a time-out, before it is killed, as a pod's terminationGracePeriodSeconds.",
			},
			apply: func(c *settings, values []string, _ cmdline.Environment) (err error) {
				c.grace, err = config.ParseDuration(last(values))
				return err
			},
		},
		{
			Flag: cmdline.Flag{
				Name: "pull", Arg: "always|missing|never", Default: string(pullMissing),
				Usage: "When to ask the registry: always, if the image is not in the cache, or never.",
			},
			apply: func(c *settings, values []string, _ cmdline.Environment) (err error) {
				c.pull, err = parsePullPolicy(last(values))
				return err
			},
		},
		{
			Flag: cmdline.Flag{
				Name: "insecure-registries", Arg: "HOST[:PORT],...", Default: "$" + insecureVariable + "; loopback addresses and localhost always are",
				Usage: "Registries that are asked without TLS, or whose certificates are not verified.",
			},
			apply: func(c *settings, values []string, _ cmdline.Environment) (err error) {
				c.insecure, err = config.ParseRegistries(config.SplitList(strings.Join(values, ",")))
				return err
			},
		},
		{
			Flag: cmdline.Flag{
				Name: config.FlagModuleSize, Arg: "BYTES", Default: "256Mi",
				Usage: "Size of the largest module that is pulled and run: 64Mi, up to 1Gi.",
			},
			apply: func(c *settings, values []string, _ cmdline.Environment) (err error) {
				c.maxModule, err = config.ParseModuleSize(last(values))
				return err
			},
		},
		{
			Flag: cmdline.Flag{
				Name: "cache-dir", Arg: "DIR", Default: "$XDG_CACHE_HOME/krustlet-wasi, or $HOME/.cache/krustlet-wasi",
				Usage: "Where images and compiled modules are kept. Any number of runs may share it; it may be deleted while none runs.",
			},
			apply: func(c *settings, values []string, _ cmdline.Environment) error {
				c.cacheDir, c.cacheIsDefault = last(values), false
				if c.cacheDir == "" {
					return errors.New("write a directory's path")
				}
				return nil
			},
		},
		{
			Flag: cmdline.Flag{
				Name: "quiet", Short: "q", Boolean: true, Default: "false",
				Usage: "Print only errors, and why a guest was ended.",
			},
			apply: func(c *settings, values []string, _ cmdline.Environment) (err error) {
				c.quiet, err = config.ParseBool(last(values))
				return err
			},
		},
		{
			Flag: cmdline.Flag{
				Name: "x-allow-unsafe-engine", Boolean: true, Default: "false",
				Usage: "Run the guest with an engine that lets it out: wasmtime 39 on arm64.",
			},
			apply: func(c *settings, values []string, _ cmdline.Environment) (err error) {
				c.unsafe, err = config.ParseBool(last(values))
				return err
			},
		},
	}
}

// insecureVariable is also the agent's variable, so that its value applies here too.
const insecureVariable = "KRUSTLET_INSECURE_REGISTRIES"

// load makes settings from flags and arguments. Its error joins all problems, with one line for
// each.
func load(flags cmdline.Values, args []string, env cmdline.Environment) (settings, error) {
	if len(args) == 0 || args[0] == "" {
		return settings{}, errors.New("nothing to run: name a FILE.wasm or an IMAGE")
	}
	c := settings{target: args[0], args: args[1:], pull: pullMissing, maxModule: runtime.DefaultMaxModule, cacheDir: defaultCacheDir(env), cacheIsDefault: true}
	var errs []error
	for _, f := range flagTable() {
		if values := flags[f.Name]; len(values) > 0 {
			errs = append(errs, exit.Prefixed("flag --"+f.Name, f.apply(&c, values, env))...)
		}
	}
	if _, set := flags["insecure-registries"]; !set {
		if value, ok := env(insecureVariable); ok {
			var err error
			c.insecure, err = config.ParseRegistries(config.SplitList(value))
			errs = append(errs, exit.Prefixed("environment variable "+insecureVariable, err)...)
		}
	}
	return c, errors.Join(errs...)
}

func last(values []string) string { return values[len(values)-1] }
