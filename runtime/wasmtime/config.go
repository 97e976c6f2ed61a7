package wasmtime

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	goruntime "runtime"
	"time"

	"go.uber.org/zap"

	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// Config is what an engine needs.
type Config struct {
	// CacheDir is the folder for compiled code. It is made if it is missing, must be this user's, and gets mode 0700.
	CacheDir string
	// CacheSize bounds the compiled code on disk, in bytes; 0 is DefaultCacheSize.
	CacheSize int64
	// Compiler is the start of the argument vector of a program that compiles one module: its main calls CompileMain
	// with the arguments behind these. The agent names itself, `/proc/self/exe` and CompileCommand. Empty
	// compiles in this process, without the bounds below: for tests, and for modules that are trusted.
	Compiler []string
	// LoadOnly has an engine run only what is compiled already: Start gives ErrNotCompiled for other modules. CacheDir
	// may be missing, and may be read-only; nothing in it is changed. A Compiler with the same CacheDir, in
	// whatever process of this build, fills it.
	LoadOnly bool
	// MaxModuleSize bounds a module that is compiled, in bytes; 0 is runtime.DefaultMaxModule.
	MaxModuleSize int64
	// CompileMemory and CompileTime bound the compilation of a large module, in bytes and in time of every processor; 0 is
	// DefaultCompileMemory, or half of that with wasmtime-go's library, and DefaultCompileTime. Smaller modules have less, in proportion. By the wall clock it may take five
	// times as long, so that it ends on a busy machine too.
	CompileMemory int64
	CompileTime   time.Duration
	// Compiled is told of modules that a Compiler was asked for: that their code was in the cache, or how long it took to
	// compile them and what went wrong. It may be nil, and must not block.
	Compiled func(cached bool, took time.Duration, err error)
	// MaxGuests bounds the guests at a time; 0 leaves it to what the system can bear, which also bounds it if it
	// is less.
	MaxGuests int
	// Log gets what concerns the engine and not one guest's own output.
	Log *zap.Logger
	// MaxMemory bounds what a guest takes of memory whose Spec has no limit, in bytes; 0 is 4 GiB.
	MaxMemory int64
	// AllowUnsafeEngine lets guests run although it is known how they get out of the linked engine on this machine.
	AllowUnsafeEngine bool
}

// prepare checks the settings, sets those that are not set, and makes the folder.
func (cfg *Config) prepare() error {
	if cfg.Log == nil {
		return errors.New("wasmtime: no logger")
	}
	if !filepath.IsAbs(cfg.CacheDir) {
		return fmt.Errorf("wasmtime: the folder for compiled code must be an absolute path, got %q", cfg.CacheDir)
	}
	if min(cfg.CacheSize, cfg.MaxModuleSize, cfg.CompileMemory, int64(cfg.CompileTime), int64(cfg.MaxGuests), cfg.MaxMemory) < 0 {
		return errors.New("wasmtime: CacheSize, MaxModuleSize, CompileMemory, CompileTime, MaxGuests and MaxMemory must not be negative")
	}
	if cfg.MaxModuleSize == 0 {
		cfg.MaxModuleSize = runtime.DefaultMaxModule
	}
	if cfg.CacheSize == 0 {
		cfg.CacheSize = DefaultCacheSize
	}
	if cfg.CompileMemory == 0 {
		cfg.CompileMemory = compileMemory()
	}
	if cfg.CompileTime == 0 {
		cfg.CompileTime = DefaultCompileTime
	}
	if err := checkCompiler(cfg.Compiler); err != nil {
		return err
	}
	if !cfg.LoadOnly && !cfg.AllowUnsafeEngine {
		if err := checkEngine(goruntime.GOARCH, supported()); err != nil {
			return err
		}
	}
	if cfg.LoadOnly {
		return cfg.checkOwner() // who compiled has answered for the engine
	}
	if err := os.MkdirAll(cfg.CacheDir, 0o700); err != nil {
		return fmt.Errorf("wasmtime: folder for compiled code: %w", err)
	}
	// What is in there would run in this process; it gives way to nobody else, and a file that somebody else has left
	// there is not loaded.
	if err := os.Chmod(cfg.CacheDir, 0o700); err != nil {
		return fmt.Errorf("wasmtime: folder for compiled code: %w", err)
	}
	return cfg.checkOwner()
}

// checkEngine returns an error where it is known how guests get out of the engine.
func checkEngine(arch string, supported bool) error {
	if arch != "arm64" || supported {
		return nil
	}
	return fmt.Errorf("wasmtime: version %s lets guests out on arm64, in two ways that are known: build with `make engine`, or say --x-allow-unsafe-engine",
		bundledVersion)
}

// checkOwner makes sure that nobody else puts code into the folder.
func (cfg *Config) checkOwner() error {
	info, err := os.Stat(cfg.CacheDir)
	if cfg.LoadOnly && errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("wasmtime: folder for compiled code: %w", err)
	}
	if !isOwn(info) {
		return fmt.Errorf("wasmtime: folder for compiled code: %s belongs to another user; name a folder of this user, or give it to this user", cfg.CacheDir)
	}
	return nil
}
