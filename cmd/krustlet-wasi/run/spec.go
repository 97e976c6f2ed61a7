package run

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/krustlet-go/krustlet-wasi/podsync/overlay"
	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/names"
)

// spec is the input of the engine, as on a node. The returned function removes the files that spec
// made.
func (c settings) spec(ctx context.Context, module runnable) (spec runtime.Spec, clean func() error, err error) {
	spec = runtime.Spec{
		ID:          "run-" + strconv.Itoa(os.Getpid()),
		Command:     runtime.Command{Args: module.argv(c.argv0, c.args), Listen: c.listen},
		Env:         module.Environ(c.env),
		WorkDir:     c.workDir,
		Mounts:      c.mounts,
		MemoryLimit: c.memory,
		CPULimit:    c.cpu,
		OutputRate:  c.output,
		HTTP:        c.http,
	}
	spec.HTTP.Listen = c.listen
	if spec.Network, err = c.network(); err != nil {
		return runtime.Spec{}, nil, err
	}
	if spec.WorkDir == "" && module.Config != nil {
		spec.WorkDir = module.Config.WorkingDir
	}
	program, err := module.Program(spec.Args, spec.Env, spec.WorkDir)
	if err != nil {
		return runtime.Spec{}, nil, imageError(c.target, err)
	}
	spec.Module, spec.Digest = program.Path, program.Digest
	if slices.ContainsFunc(c.mounts, func(m runtime.Mount) bool { return m.Guest == "/" }) {
		return spec, func() error { return nil }, nil
	}
	root, clean, err := makeRoot(ctx, module)
	if err != nil {
		return runtime.Spec{}, nil, err
	}
	spec.Mounts = append([]runtime.Mount{{Host: root, Guest: "/"}}, c.mounts...)
	return spec, clean, nil
}

// network is what the guest has of the network. There is no ceiling, as the machine is the user's.
func (c settings) network() (runtime.Network, error) {
	if c.egress == "" {
		return runtime.Network{}, nil
	}
	ofMachine, err := names.OfMachine()
	if err != nil {
		return runtime.Network{}, err
	}
	return runtime.Network{Own: c.machine, Egress: runtime.Egress{Allow: c.egress}, Names: ofMachine}, nil
}

// makeRoot makes the guest's root directory, as for a container: empty except for /tmp, or with the
// files of the image.
func makeRoot(ctx context.Context, module runnable) (root string, clean func() error, err error) {
	own, err := newScratch()
	if err != nil {
		return "", nil, fmt.Errorf("making the guest's root directory: %w; set TMPDIR", err)
	}
	clean = own.remove
	fail := func(err error) (string, func() error, error) {
		return "", nil, errors.Join(fmt.Errorf("making the guest's root directory: %w", err), clean())
	}
	root = own.dir
	if module.Root != nil {
		image, err := filepath.EvalSymlinks(module.Root.Dir)
		if err != nil {
			return fail(err)
		}
		if root, err = overlay.Make(ctx, own.dir, image); err != nil {
			return fail(err)
		}
	}
	if err := os.Mkdir(filepath.Join(root, "tmp"), 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return fail(err)
	}
	if root, err = filepath.EvalSymlinks(root); err != nil {
		return fail(err)
	}
	return root, clean, nil
}
