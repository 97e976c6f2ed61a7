package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/krustlet-go/krustlet-wasi/registry/fault"
	"github.com/krustlet-go/krustlet-wasi/registry/manifest"
	"github.com/krustlet-go/krustlet-wasi/registry/rootfs"
	"github.com/krustlet-go/krustlet-wasi/runtime/filetree"
)

// roots is the part of a store with the unpacked root filesystems:
//
//	HEX/fs/            what the guest sees as /
//	HEX/modules.json   the WebAssembly files in it
//	HEX/synced         its mark, see durable.go
//
// HEX is computed from the layers. As long as the layers are in the store, the folder can be made
// again. A folder appears complete; on an error it does not appear. Only its mark changes later.
type roots struct {
	dir       string
	boot      string // ID of this boot of the machine
	maxModule int64  // bytes
	limits    rootfs.Limits
}

const (
	rootsFolder = "rootfs"
	treeFolder  = "fs"
	modulesFile = "modules.json"
)

// Root is a root filesystem on this node's disk.
type Root struct {
	// Dir is the absolute path of the folder that guests see as /. It must only be read.
	Dir     string
	modules map[string]rootfs.Module // by their absolute paths in it
}

var rootForm = regexp.MustCompile(`^[0-9a-f]{64}$`)

func (r roots) path(id string) string { return filepath.Join(r.dir, id) }

// unpack makes the content of dir for an image with a root filesystem.
func (r roots) unpack(ctx context.Context, dir string, layers []rootfs.Layer, why purpose) error {
	tree := filepath.Join(dir, treeFolder)
	if err := os.Mkdir(tree, 0o755); err != nil {
		return err
	}
	if err := rootfs.Unpack(ctx, tree, layers, r.limits); err != nil {
		return unpackFailure(ctx, err)
	}
	modules, err := rootfs.Modules(tree, r.maxModule)
	switch {
	case errors.Is(err, rootfs.ErrTooLarge) && why == toShow:
		modules = nil // no module runs
	case err != nil:
		return unpackFailure(ctx, err)
	case len(modules) == 0 && why == toRun:
		return errNoModule()
	}
	return r.index(dir, modules)
}

// index writes the list of modules of the root filesystem in dir.
func (r roots) index(dir string, modules map[string]rootfs.Module) error {
	data, err := json.Marshal(modules)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, modulesFile), append(data, '\n'), 0o600)
}

func errNoModule() error {
	return fault.New(fault.ErrNotWasm, nil, "found no WebAssembly module in the image's root filesystem; put the .wasm file into it, and name it as ENTRYPOINT")
}

// unpackFailure gives a class to an error of unpacking.
func unpackFailure(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return err
	}
	var class error
	switch {
	case errors.Is(err, rootfs.ErrTooLarge):
		class = fault.ErrTooLarge
	case errors.Is(err, rootfs.ErrDigest):
		class = fault.ErrDigestMismatch
	case errors.Is(err, rootfs.ErrInvalid):
		class = fault.ErrInvalidImage
	}
	return fault.New(class, err, "unpacking the image: %v", err)
}

// open returns the root filesystem with this ID.
func (r roots) open(id string) (*Root, error) { return openRoot(r.path(id)) }

func openRoot(dir string) (*Root, error) {
	at := filepath.Join(dir, modulesFile)
	data, err := readRecord(at)
	if err != nil {
		return nil, err
	}
	root := &Root{Dir: filepath.Join(dir, treeFolder)}
	if err := json.Unmarshal(data, &root.modules); err != nil {
		return nil, fmt.Errorf("reading %s: %w", at, err)
	}
	if _, err := os.Stat(root.Dir); err != nil {
		return nil, err
	}
	return root, nil
}

// module returns the image with this root filesystem and config, and the module in it that runs by
// default.
func (r *Root) module(config *manifest.Config) (Module, error) {
	m := Module{Root: r}
	var argv, env []string
	workDir := ""
	if config != nil {
		argv, env, workDir = config.Argv(), config.Env, config.WorkingDir
	}
	at, found, err := r.find(argv, env, workDir)
	switch {
	case err != nil:
		return Module{}, err
	case found:
		m.become(at)
	case len(r.modules) == 1:
		m.become(r.names()[0])
	}
	return m, nil
}

// find returns the path of the module that argv[0] names.
func (r *Root) find(argv, env []string, workDir string) (at string, found bool, err error) {
	if len(argv) == 0 {
		return "", false, nil
	}
	return rootfs.Program(r.Dir, r.modules, argv[0], env, workDir)
}

// names are the paths of the modules, sorted.
func (r *Root) names() []string {
	var all []string
	for at := range r.modules {
		all = append(all, at)
	}
	slices.Sort(all)
	return all
}

// temp makes a locked folder. A process that cleans up skips locked folders.
func (r roots) temp() (dir string, unlock func(), err error) {
	for {
		if dir, err = os.MkdirTemp(r.dir, tempPrefix); err != nil {
			return "", nil, err
		}
		unlock, err = lockPath(context.Background(), dir, unix.LOCK_EX) // another process holds the lock only while it removes the file
		if !errors.Is(err, fs.ErrNotExist) {
			return dir, unlock, err
		}
	}
}

// remove removes a root filesystem that no pull has pinned. It returns the freed bytes on disk, and
// the modules that were in it.
func (r roots) remove(id string) (freed int64, modules []string, err error) {
	dir := r.path(id)
	if root, err := openRoot(dir); err == nil {
		for _, m := range root.modules {
			modules = append(modules, m.Digest)
		}
	}
	taken, _ := filetree.Count(context.Background(), dir, 0) // files that are not counted here are removed anyway
	gone, err := removeUnlocked(dir)
	if err != nil || !gone {
		return 0, nil, err
	}
	return taken.Bytes, modules, nil
}
