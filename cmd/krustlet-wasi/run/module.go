package run

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/google/go-containerregistry/pkg/authn"
	"go.uber.org/zap"

	"github.com/krustlet-go/krustlet-wasi/cmd/krustlet-wasi/cmdline"
	"github.com/krustlet-go/krustlet-wasi/cmd/krustlet-wasi/exit"
	"github.com/krustlet-go/krustlet-wasi/registry"
	"github.com/krustlet-go/krustlet-wasi/registry/credentials"
)

// runnable is the module to run, or the image that has the module.
type runnable struct {
	registry.Module
	file string // the name of the file, if the module is not from an image
}

// argv is the guest's argument list. The words after the target on the command line are its
// arguments. If argv0 is not empty, it replaces the first element.
func (r runnable) argv(argv0 string, args []string) []string {
	var argv []string
	switch {
	case r.file != "":
		argv = append([]string{r.file}, args...)
	case argv0 != "" && r.Root != nil && len(r.Config.Entrypoint) == 0: // argv has no first element to replace, only arguments
		return r.Argv([]string{argv0}, args)
	default:
		argv = r.Argv(nil, args)
	}
	if argv0 != "" {
		argv[0] = argv0
	}
	return argv
}

// isFile reports whether the target is a file, and not an image.
func isFile(target string) bool {
	for _, prefix := range []string{"/", "./", "../"} {
		if strings.HasPrefix(target, prefix) {
			return true
		}
	}
	if strings.HasSuffix(target, ".wasm") {
		return true
	}
	info, err := os.Stat(target)
	return err == nil && !info.IsDir() // a directory may have the name of an image that is built in it
}

// fileModule takes the module from a file of the host.
func fileModule(target string) (runnable, error) {
	fail := func(code int, err error) (runnable, error) { return runnable{}, &exit.Error{Code: code, Err: err} }
	file, err := filepath.Abs(target)
	if err != nil {
		return fail(exitCannotRun, err)
	}
	f, err := os.OpenFile(file, os.O_RDONLY|syscall.O_NONBLOCK, 0) // opening a named pipe must not block; it is refused below
	if errors.Is(err, fs.ErrNotExist) {
		return fail(exitNotFound, fmt.Errorf("there is no file %s%s", file, imageHint(target)))
	}
	if err != nil {
		return fail(exitCannotRun, err)
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	switch {
	case err != nil:
		return fail(exitCannotRun, err)
	case info.IsDir():
		return fail(exitCannotRun, fmt.Errorf("%s is a directory: name the module in it", file))
	case !info.Mode().IsRegular():
		return fail(exitCannotRun, fmt.Errorf("%s is no regular file: write the module to one first", file))
	}
	hash := sha256.New()
	if _, err := io.CopyBuffer(struct{ io.Writer }{hash}, f, make([]byte, 128<<10)); err != nil {
		return fail(exitCannotRun, fmt.Errorf("reading the module: %w", err))
	}
	module := registry.Module{Path: file, Digest: "sha256:" + hex.EncodeToString(hash.Sum(nil))}
	return runnable{Module: module, file: filepath.Base(file)}, nil
}

// imageHint helps a user who means an image, if the image's name looks like a file's.
func imageHint(target string) string {
	if strings.HasPrefix(target, "/") || strings.HasPrefix(target, ".") || !strings.Contains(target, "/") {
		return ""
	}
	return fmt.Sprintf("; for an image, write the tag too: %s:latest", target)
}

// imageModule takes the module from the cache or from the image's registry.
func (p Program) imageModule(ctx context.Context, c settings, saved cache, log *zap.Logger) (runnable, error) {
	dir, release, err := saved.store(ctx, c.target)
	if err != nil {
		return runnable{}, err
	}
	defer release()
	store, err := registry.New(registry.Config{
		Dir:                dir,
		InsecureRegistries: c.insecure,
		MaxModuleSize:      c.maxModule,
		UserAgent:          "krustlet-wasi/" + p.Version,
		Log:                log.Named("registry"),
	})
	if err != nil {
		return runnable{}, err
	}
	defer store.Close()
	keys, err := credentials.NewSource(credentials.SourceConfig{
		DockerConfigs: credentials.DockerConfigs("", p.Env), Keychain: authn.DefaultKeychain, Log: log.Named("credentials"),
	})
	if err != nil {
		return runnable{}, err
	}
	if c.pull != pullAlways {
		module, present, err := store.Lookup(ctx, c.target, nil)
		switch {
		case err != nil:
			return runnable{}, imageError(c.target, err)
		case present:
			return runnable{Module: module}, nil
		case c.pull == pullNever:
			return runnable{}, &exit.Error{Code: exitNotFound, Err: fmt.Errorf("image %s is not in the cache, and --pull=never forbids a pull", c.target)}
		}
	}
	if !c.quiet {
		cmdline.Printf(p.Stderr, "krustlet-wasi: pulling %s\n", c.target)
	}
	pulled, err := store.PullToRun(ctx, c.target, keys.For(credentials.Pod{}))
	if err != nil {
		return runnable{}, imageError(c.target, err)
	}
	return runnable{Module: pulled.Module}, nil
}

// imageError gives an error of the module store its exit code.
func imageError(target string, err error) error {
	switch {
	case errors.Is(err, registry.ErrInvalidReference):
		return exit.BadUsage(fmt.Errorf("%q is neither a file here nor the name of an image: %w", target, err))
	case errors.Is(err, registry.ErrNotFound):
		return &exit.Error{Code: exitNotFound, Err: err}
	case errors.Is(err, registry.ErrNotWasm), errors.Is(err, registry.ErrTooLarge), errors.Is(err, registry.ErrDigestMismatch),
		errors.Is(err, registry.ErrInvalidImage), errors.Is(err, registry.ErrNoProgram):
		return &exit.Error{Code: exitCannotRun, Err: err}
	}
	return err
}
