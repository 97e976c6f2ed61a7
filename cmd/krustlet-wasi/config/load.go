package config

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/krustlet-go/krustlet-wasi/cmd/krustlet-wasi/cmdline"
	"github.com/krustlet-go/krustlet-wasi/cmd/krustlet-wasi/exit"
	"github.com/krustlet-go/krustlet-wasi/cmd/krustlet-wasi/logging"
)

// Load makes the Config from flags, the environment, the configuration file and the machine.
// Earlier sources override later ones. Load reads files, may ask the resolver, and writes nothing.
// The error joins all problems, with one line for each. Each line names the source of the value.
func Load(ctx context.Context, flags cmdline.Values, env cmdline.Environment, m Machine) (Config, error) {
	l := newLoader(flags, env, m)
	l.read(ctx)
	if len(l.problems) == 0 {
		// Problems of files are reported only if it is certain which files the user means.
		l.checkFiles()
		l.checkImages()
	}
	if err := errors.Join(l.problems...); err != nil {
		return Config{}, exit.BadUsage(err)
	}
	return l.cfg, nil
}

// LoadImages is Load for the commands that manage images. It checks only the settings that these
// commands need.
func LoadImages(flags cmdline.Values, env cmdline.Environment, m Machine) (Config, error) {
	l := newLoader(flags, env, m)
	l.gather()
	l.apply()
	l.fillPaths()
	l.checkImages()
	return l.cfg, errors.Join(l.problems...)
}

// loader is the work of one load.
type loader struct {
	flags   cmdline.Values
	env     cmdline.Environment
	machine Machine

	found    map[string]given // by setting.name: the value that overrides the others
	cfg      Config
	problems []error
}

func newLoader(flags cmdline.Values, env cmdline.Environment, m Machine) *loader {
	l := &loader{flags: flags, env: env, machine: m, found: map[string]given{}}
	l.cfg = defaults()
	if m.Terminal {
		l.cfg.LogFormat = logging.Console
	}
	return l
}

// read fills the Config. It does not check the files that the Config names.
func (l *loader) read(ctx context.Context) {
	l.gather()
	l.apply()
	l.fillPaths()
	l.fillHost(ctx)
}

func (l *loader) problem(format string, args ...any) {
	l.problems = append(l.problems, fmt.Errorf(format, args...))
}

// gather finds the value that overrides the others, for each setting.
func (l *loader) gather() {
	all := settings()
	for _, s := range all {
		if g, ok := l.fromFlag(s); ok {
			l.found[s.name()] = g
		} else if g, ok := l.fromEnv(s); ok {
			l.found[s.name()] = g
		}
	}
	file := l.readFile()
	for _, s := range all {
		if _, ok := l.found[s.name()]; ok || s.key == "" {
			continue
		}
		if g, ok := file[s.key]; ok {
			l.found[s.name()] = g
		}
	}
}

func (l *loader) fromFlag(s setting) (given, bool) {
	values := l.flags[s.flag]
	if s.flag == "" || values == nil {
		return given{}, false
	}
	g := given{from: "flag --" + s.flag, text: values[len(values)-1]}
	if s.kind.many() {
		g.items = SplitList(strings.Join(values, ","))
	}
	return g, true
}

// fromEnv ignores an empty variable, because scripts and unit files often leave one. For a
// collection, an empty variable is a value.
func (l *loader) fromEnv(s setting) (given, bool) {
	value, set := l.env(s.env)
	if !set || value == "" && !s.kind.many() {
		return given{}, false
	}
	g := given{from: "environment variable " + s.env, text: value}
	if s.kind.many() {
		g.items = SplitList(value)
	}
	return g, true
}

// readFile returns the values of the configuration file, by key.
func (l *loader) readFile() map[string]given {
	path, from, ok := l.configFile()
	if !ok {
		return nil
	}
	data, err := readConfigFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !l.given("config"):
		return nil
	case err != nil:
		l.problem("%s: %w", from, err)
		return nil
	}
	values, err := parseConfigFile(path, data)
	if err != nil {
		l.problems = append(l.problems, exit.Problems(err)...)
	}
	return values
}

// configFile says which file to read, and which setting named it. Its default path does not depend
// on --data-dir, because the file itself may set the data directory.
func (l *loader) configFile() (path, from string, ok bool) {
	g, named := l.found["config"]
	if !named {
		home, err := l.home()
		return filepath.Join(home, ".krustlet", "config", "config.json"), "configuration file", err == nil
	}
	path, err := parsePath(g.text)
	if err != nil {
		l.problem("%s: %w", g.from, err)
	}
	return path, g.from, err == nil
}

// home is the user's home directory, from the environment.
func (l *loader) home() (string, error) {
	home, _ := l.env("HOME")
	if home == "" {
		return "", errors.New("$HOME is not set")
	}
	if !filepath.IsAbs(home) {
		return "", fmt.Errorf("$HOME is %q, which is not an absolute path", home)
	}
	return home, nil
}

func (l *loader) apply() {
	for _, s := range settings() {
		g, ok := l.found[s.name()]
		if !ok {
			continue
		}
		l.problems = append(l.problems, exit.Prefixed(g.from, s.apply(&l.cfg, g))...)
	}
}

// fillPaths sets the paths that the user left out. Most of them depend on the data directory.
func (l *loader) fillPaths() {
	c := &l.cfg
	if !l.given("data-dir") {
		home, err := l.home()
		if err != nil {
			l.problem("cannot tell where the data directory is: %w; set --data-dir or KRUSTLET_DATA_DIR", err)
			return
		}
		c.DataDir = filepath.Join(home, ".krustlet")
	}
	for _, p := range []struct {
		setting string
		path    *string
		def     string
	}{
		{"cert-file", &c.CertFile, filepath.Join(c.DataDir, "config", "krustlet.crt")},
		{"private-key-file", &c.PrivateKeyFile, filepath.Join(c.DataDir, "config", "krustlet.key")},
		{"bootstrap-file", &c.BootstrapFile, defaultBootstrapFile},
		{"plugins-dir", &c.PluginsDir, filepath.Join(c.DataDir, "plugins")},
		{"device-plugins-dir", &c.DevicePluginsDir, filepath.Join(c.DataDir, "device_plugins")},
		{"pod-logs-dir", &c.PodLogsDir, filepath.Join(c.DataDir, "logs")},
	} {
		if !l.given(p.setting) {
			*p.path = p.def
		}
	}
	defaultKubeconfig := filepath.Join(c.DataDir, "config", "kubeconfig")
	if !l.given("KUBECONFIG") || sameFile(c.Kubeconfig, c.BootstrapFile) {
		c.Kubeconfig = defaultKubeconfig
	}
	if sameFile(c.Kubeconfig, c.BootstrapFile) {
		l.problem("%s: %s is where the node's own kubeconfig goes; move the bootstrap file elsewhere",
			l.from("bootstrap-file"), c.BootstrapFile)
	}
}

// fillHost sets the machine's names and address that the user left out.
func (l *loader) fillHost(ctx context.Context) {
	c := &l.cfg
	if !l.given("hostname") {
		name, err := l.machine.Hostname()
		if err != nil {
			l.problem("cannot read the host's name: %w; set --hostname", err)
			return
		}
		if err := checkHostname(name); err != nil {
			l.problem("the host's name: %w; set --hostname", err)
			return
		}
		c.Hostname = name
	}
	if !l.given("node-name") {
		// If the hostname is wrong, this check would report the same problem again.
		if name := strings.ToLower(c.Hostname); checkHostname(name) == nil {
			c.NodeName = name
		}
	}
	if !l.given("node-ip") && c.Addr.IsValid() && checkHostname(c.Hostname) == nil {
		ip, err := l.machine.nodeIP(ctx, c.Hostname, c.Addr)
		if err != nil {
			l.problem("cannot tell the node's address: %w; set --node-ip", err)
			return
		}
		c.NodeIP = ip
	}
}

func (l *loader) given(name string) bool {
	_, ok := l.found[name]
	return ok
}

// from names the source of a setting's value, for messages.
func (l *loader) from(name string) string {
	if g, ok := l.found[name]; ok {
		return g.from
	}
	return "default of --" + name
}

// SplitList splits a value at its commas. It removes empty entries, such as the one after a last
// comma.
func SplitList(value string) []string {
	items := []string{}
	for item := range strings.SplitSeq(value, ",") {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	return items
}
