package main

import (
	"context"
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/krustlet-go/krustlet-wasi/cmd/krustlet-wasi/cmdline"
	"github.com/krustlet-go/krustlet-wasi/cmd/krustlet-wasi/config"
	"github.com/krustlet-go/krustlet-wasi/cmd/krustlet-wasi/exit"
	"github.com/krustlet-go/krustlet-wasi/cmd/krustlet-wasi/logging"
	"github.com/krustlet-go/krustlet-wasi/registry/credentials"
	"github.com/krustlet-go/krustlet-wasi/runtime/network"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasmtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/worker/confine"
	"github.com/krustlet-go/krustlet-wasi/runtime/worker/host"
	"github.com/krustlet-go/krustlet-wasi/runtime/worker/wire"
)

// workerCommand is the first argument of a process that hosts guests for an agent. The process may
// outlive the agent. Only agents start it, and --help does not name it.
const workerCommand = "worker"

// workerIdle is how long a worker stays without guests and without an agent. It is longer than the
// restart of an agent.
const workerIdle = 30 * time.Second

// workerConfig is what an agent tells its workers, in addition to what pool.Pool tells them.
type workerConfig struct {
	dataDir string
	logsDir string
	hidden  []string
	level   zapcore.Level

	dir   string   // the worker's folder
	ready *os.File // the worker writes to it when it serves
}

// arguments are what parseWorker reads.
func (c workerConfig) arguments() []string {
	args := []string{workerCommand, "--data-dir", c.dataDir, "--pod-logs-dir", c.logsDir, "--log-level", c.level.String()}
	for _, path := range c.hidden {
		args = append(args, "--hide", path)
	}
	return args
}

// workerConfigOf is the configuration of an agent's workers. env is the agent's environment.
func workerConfigOf(cfg config.Config, env cmdline.Environment) workerConfig {
	return workerConfig{dataDir: cfg.DataDir, logsDir: cfg.PodLogsDir, hidden: credentialFiles(cfg, env), level: cfg.LogLevel}
}

// credentialFiles are the files and folders in which the agent may have credentials. Workers do not
// need them.
func credentialFiles(cfg config.Config, env cmdline.Environment) (files []string) {
	all := []string{
		filepath.Join(cfg.DataDir, "config"), cfg.Kubeconfig, cfg.BootstrapFile, cfg.CertFile, cfg.PrivateKeyFile,
		cfg.RegistryConfigDir, cfg.CredentialProviderConfig,
	}
	for _, path := range append(all, credentials.Files(cfg.DockerConfig(), env)...) {
		if abs, err := filepath.Abs(path); err == nil && path != "" {
			files = append(files, abs)
		}
	}
	return files
}

// isWorker reports whether an agent started this process, to host guests.
func isWorker(args []string) bool {
	return len(args) > 1 && args[1] == workerCommand
}

// hostGuests does all the work of such a process. The result is the exit code.
func hostGuests(args []string, stderr io.Writer) int {
	c, err := parseWorker(args[2:], stderr)
	if err != nil {
		return exit.Usage
	}
	log, _ := logging.New(c.level, logging.JSON, stderr)
	log = log.Named("worker").With(zap.Int("worker", os.Getpid()))
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	// The worker logs to a file. If a person starts a worker on a terminal, it must outlive that
	// terminal.
	signal.Ignore(syscall.SIGHUP, syscall.SIGPIPE)
	defer boundGarbage(ctx)()
	if err := c.serve(ctx, log); err != nil {
		log.Error("the worker ends", zap.Error(err))
		return exit.Failure
	}
	log.Info("the worker ends")
	return exit.OK
}

// serve gives up what a worker does not need, and hosts guests.
func (c workerConfig) serve(ctx context.Context, log *zap.Logger) (err error) {
	bound, err := host.Bind(c.dir)
	if err != nil {
		return err
	}
	allowed, err := c.confinement(bound.Info())
	if err != nil {
		return errors.Join(err, bound.Close())
	}
	lost, err := confine.Apply(allowed)
	if err != nil {
		return errors.Join(err, bound.Close())
	}
	if len(lost) > 0 {
		log.Warn("this worker keeps what it does not need; see docs/workers.md", zap.Strings("kept", lost))
	}
	cluster := network.NewCluster(func(err error) {
		log.Error("a part of what the agent says of the network does not hold", zap.Error(err))
	})
	engine, err := wasmtime.New(wasmtime.Config{
		CacheDir: config.CompiledDir(c.dataDir),
		LoadOnly: true,
		Log:      log.Named("engine"),
		Network:  cluster,
	})
	if err != nil {
		return errors.Join(err, bound.Close())
	}
	defer func() { err = errors.Join(err, engine.Close()) }()
	return bound.Serve(ctx, host.Config{
		Engine:    engine,
		HostCalls: engine.HostCalls,
		Network:   cluster,
		Build:     bound.Info().Build,
		Idle:      workerIdle,
		Ready:     c.ready,
		Log:       log,
	})
}

// confinement is what this worker may reach. In the data directory, that is the worker's own folder
// and the files for its guests. A later agent may keep anything else there. A worker of a single
// pod does not reach the files of other pods.
func (c workerConfig) confinement(info wire.Info) (confine.Config, error) {
	pods := filepath.Join(c.dataDir, "pods")
	config := confine.Config{
		Hidden:   append([]string{c.dataDir}, c.hidden...),
		ReadOnly: append(confine.SystemFolders(), filepath.Join(c.dataDir, "modules")),
		Writable: []string{c.dir, pods, c.logsDir},
	}
	if info.Isolated {
		logs, err := logsOf(c.logsDir, info.Pod)
		if err != nil {
			return confine.Config{}, err
		}
		config.Hidden = append(config.Hidden, c.logsDir)
		config.Writable = append(logs, c.dir, filepath.Join(pods, info.Pod))
	}
	return config, nil
}

// logsOf are the folders of a pod's logs, NAMESPACE_NAME_UID. The agent makes them before it starts
// the pod's worker.
func logsOf(dir, uid string) (found []string, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("looking for the pod's logs: %w", err)
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), "_"+uid) {
			found = append(found, filepath.Join(dir, e.Name()))
		}
	}
	return found, nil
}

func parseWorker(args []string, stderr io.Writer) (c workerConfig, err error) {
	flags := flag.NewFlagSet("krustlet-wasi "+workerCommand, flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		cmdline.Printf(stderr, "krustlet-wasi %s is started by the agent, to host containers; people have no use for it.\n", workerCommand)
	}
	flags.StringVar(&c.dataDir, "data-dir", "", "")
	flags.StringVar(&c.logsDir, "pod-logs-dir", "", "")
	flags.TextVar(&c.level, "log-level", zapcore.InfoLevel, "")
	flags.Func("hide", "", func(path string) error { c.hidden = append(c.hidden, path); return nil })
	flags.StringVar(&c.dir, "dir", "", "")
	ready := flags.Int("ready-fd", -1, "")
	if err := flags.Parse(args); err != nil {
		return c, err
	}
	if !filepath.IsAbs(c.dataDir) || !filepath.IsAbs(c.logsDir) || !filepath.IsAbs(c.dir) || flags.NArg() > 0 {
		flags.Usage()
		return c, errors.New("bad arguments")
	}
	if *ready >= 0 {
		syscall.CloseOnExec(*ready)
		c.ready = os.NewFile(uintptr(*ready), "ready")
	}
	return c, nil
}

// buildOf names this build of the program and the settings of its workers. Workers of another build
// keep their guests and get no new ones.
func buildOf(c workerConfig) (string, error) {
	exe, err := elf.Open("/proc/self/exe")
	if err != nil {
		return "", fmt.Errorf("reading this program's build ID: %w", err)
	}
	defer func() { _ = exe.Close() }()
	section := exe.Section(".note.go.buildid")
	if section == nil {
		return "", errors.New("this program has no build ID")
	}
	id, err := section.Data()
	if err != nil {
		return "", fmt.Errorf("reading this program's build ID: %w", err)
	}
	sum := sha256.Sum256(append(id, strings.Join(c.arguments(), "\x00")...))
	return programVersion() + " " + hex.EncodeToString(sum[:8]), nil
}
