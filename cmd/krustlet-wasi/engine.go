package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"go.opentelemetry.io/otel/trace"
	"go.uber.org/zap"

	"github.com/krustlet-go/krustlet-wasi/cmd/krustlet-wasi/config"
	"github.com/krustlet-go/krustlet-wasi/podsync/metrics"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasmtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/worker/confine"
	"github.com/krustlet-go/krustlet-wasi/runtime/worker/pool"
)

// newWorkers finds the workers that an earlier agent left, and can start others. It makes the data
// directory's folders first: if a folder is made beside the credentials later, a running worker
// cannot reach it.
//
// close does not end guests and workers.
func newWorkers(ctx context.Context, cfg config.Config, network pool.Network, counts *metrics.Runtime, tracer trace.Tracer, log *zap.Logger) (workers *pool.Pool, close func(), err error) {
	if err := confine.HideSelf(); err != nil {
		log.Warn("other processes of this user may read the agent's memory", zap.Error(err))
	}
	if err := makeLogDirs(cfg); err != nil {
		return nil, nil, err
	}
	for _, name := range []string{"modules", "pods", "workers", "config"} {
		if err := os.MkdirAll(filepath.Join(cfg.DataDir, name), 0o700); err != nil {
			return nil, nil, fmt.Errorf("making the data directory's folders: %w", err)
		}
	}
	compiler, err := wasmtime.NewCompiler(wasmtime.Config{
		CacheDir:      config.CompiledDir(cfg.DataDir),
		Compiler:      selfCompiler,
		MaxModuleSize: cfg.MaxModuleSize,
		Compiled:      counts.Compiled,
		Log:           log.Named("compiler"),

		AllowUnsafeEngine: cfg.AllowUnsafeEngine,
	})
	if err != nil {
		return nil, nil, err
	}
	settings := workerConfigOf(cfg, os.LookupEnv)
	build, err := buildOf(settings)
	if err != nil {
		return nil, nil, err
	}
	workers, err = pool.Open(ctx, pool.Config{
		Dir:      filepath.Join(cfg.DataDir, "workers"),
		Build:    build,
		Argv:     append([]string{self}, settings.arguments()...),
		Name:     "krustlet-wasi",
		Shards:   cfg.Workers,
		Compiler: tracedCompiler{compiler, tracer},
		Started:  counts.Started,
		Network:  network,
		Groups:   newControlGroups(cfg.DataDir, log),
		Log:      log.Named("workers"),
	})
	if err != nil {
		return nil, nil, err
	}
	return workers, func() { workers.Close(); compiler.Close() }, nil
}

// makeLogDirs makes the folders that log shippers read. The data directory above them stays
// private.
func makeLogDirs(cfg config.Config) error {
	if err := os.MkdirAll(cfg.PodLogsDir, 0o755); err != nil {
		return fmt.Errorf("making the directory of the pods' logs: %w; choose another with --pod-logs-dir", err)
	}
	if cfg.ContainerLogsDir == "" {
		return nil
	}
	if err := os.MkdirAll(cfg.ContainerLogsDir, 0o755); err != nil {
		return fmt.Errorf("making the directory of links to logs: %w; choose another with --container-logs-dir", err)
	}
	return nil
}

// self is this program. The path that started it may lead to another version by now.
const self = "/proc/self/exe"

var selfCompiler = []string{self, wasmtime.CompileCommand}

// isCompiler reports whether an engine started this process, to compile one module.
func isCompiler(args []string) bool {
	return len(args) > 1 && args[1] == wasmtime.CompileCommand
}

// compile does all the work of such a process. The result is the exit code.
func compile(args []string) int {
	return wasmtime.CompileMain(args[2:], os.Stdin, os.Stdout, os.Stderr)
}
