package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sync/errgroup"

	"github.com/krustlet-go/krustlet-wasi/podsync/podfiles"
	"github.com/krustlet-go/krustlet-wasi/registry"
	"github.com/krustlet-go/krustlet-wasi/registry/credentials"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasmtime"
)

// pullImages pulls all images at once. One that fails does not keep the others back.
func pullImages(ctx context.Context, run imageRun, images []string) error {
	shown := run.progress()
	settings := storeConfig(run.cfg, run.log)
	settings.Progress, settings.Preload = shown.blob, true
	store, err := registry.New(settings)
	if err != nil {
		return err
	}
	defer store.Close()
	keys, err := newCredentials(run.cfg, run.env, nil, run.log)
	if err != nil {
		return badUsage(err)
	}
	pull := store.Pull
	if run.unpack {
		pull = store.PullToRun
	}
	pulled := make([]*imageView, len(images))
	errs := make([]error, len(images))
	var group errgroup.Group
	for i, image := range images {
		group.Go(func() error {
			shown.line("pulling %s", image)
			m, err := pull(ctx, image, keys.For(credentials.Pod{}))
			if err != nil {
				errs[i] = usageIfInvalid(err)
				return nil
			}
			shown.result("pulled %s in %v", m.ImageID, rounded(m.Took))
			found, err := store.Find(m.ImageID)
			if err != nil {
				errs[i] = err
				return nil
			}
			v := viewOf(found, nil)
			pulled[i] = &v
			return nil
		})
	}
	_ = group.Wait() // errs has them
	shown.end()
	var done []imageView
	for _, v := range pulled {
		if v != nil {
			done = append(done, *v)
		}
	}
	return errors.Join(append(errs, run.print(done, func() {
		for _, v := range done {
			printf(run.stdout, "%s\n", v.ID)
		}
	}))...)
}

// usageIfInvalid marks the name of an image that can be none as the user's fault.
func usageIfInvalid(err error) error {
	if errors.Is(err, registry.ErrInvalidReference) {
		return badUsage(err)
	}
	return err
}

func listImages(_ context.Context, run imageRun, _ []string) error {
	store, used, err := run.open()
	if err != nil {
		return err
	}
	defer store.Close()
	images, err := store.Images()
	if err != nil {
		return err
	}
	views := make([]imageView, 0, len(images))
	for _, i := range images {
		views = append(views, viewOf(i, used))
	}
	return run.print(views, func() { table(run.stdout, views) })
}

func inspectImages(_ context.Context, run imageRun, images []string) error {
	store, used, err := run.open()
	if err != nil {
		return err
	}
	defer store.Close()
	var errs []error
	views := make([]imageView, 0, len(images))
	for _, image := range images {
		found, err := store.Find(image)
		if err != nil {
			errs = append(errs, usageIfInvalid(err))
			continue
		}
		views = append(views, viewOf(found, used))
	}
	run.json = true
	return errors.Join(append(errs, run.print(views, nil))...)
}

// removal is what `image rm` prints.
type removal struct {
	Removed  []string `json:"removed"`
	Untagged []string `json:"untagged"`
	Freed    int64    `json:"freed"`
}

func removeImages(ctx context.Context, run imageRun, images []string) error {
	store, used, err := run.open()
	if err != nil {
		return err
	}
	defer store.Close()
	all := removal{Removed: []string{}, Untagged: []string{}}
	var errs []error
	for _, image := range images {
		done, err := store.Remove(ctx, image, used)
		if err != nil {
			errs = append(errs, usageIfInvalid(err))
		}
		all.Removed, all.Untagged = append(all.Removed, done.Images...), append(all.Untagged, done.Tags...)
		all.Freed += done.Freed
		for _, digest := range done.Modules {
			freed, err := wasmtime.RemoveCompiled(compiledDir(run.cfg.DataDir), digest)
			all.Freed += freed
			errs = append(errs, err)
		}
	}
	return errors.Join(append(errs, run.print(all, func() {
		for _, tag := range all.Untagged {
			printf(run.stdout, "untagged %s\n", tag)
		}
		for _, id := range all.Removed {
			printf(run.stdout, "removed %s\n", id)
		}
		if len(all.Removed) > 0 {
			printf(run.stdout, "freed %s\n", size(all.Freed))
		}
	}))...)
}

// open opens the node's store, and says which images the node's pods use.
func (r imageRun) open() (*registry.Store, []string, error) {
	store, err := openStore(r.cfg, r.log)
	if err != nil {
		return nil, nil, err
	}
	used, err := podfiles.ImagesOnDisk(r.cfg.DataDir)
	return store, used, err
}

func pushImage(ctx context.Context, run imageRun, args []string) error {
	file, image := args[0], args[1]
	module, err := readModule(file)
	if err != nil {
		return badUsage(err)
	}
	keys, err := newCredentials(run.cfg, run.env, nil, run.log)
	if err != nil {
		return badUsage(err)
	}
	shown := run.progress()
	shown.line("pushing %s to %s", file, image)
	id, err := registry.Push(ctx, image, module, registry.PushConfig{
		InsecureRegistries: run.cfg.InsecureRegistries,
		Authorities:        run.cfg.RegistryCAs,
		HostsDir:           run.cfg.RegistryConfigDir,
		UserAgent:          "krustlet-wasi/" + programVersion(),
		Keys:               keys.For(credentials.Pod{}),
		Progress:           func(done, size int64) { shown.blob(image, done, size) },
		Author:             run.author,
	})
	shown.end()
	if err != nil {
		return usageIfInvalid(err)
	}
	return run.print(map[string]any{"id": id, "size": len(module)}, func() { printf(run.stdout, "%s\n", id) })
}

func readModule(file string) ([]byte, error) {
	if err := readable(file); err != nil {
		return nil, err
	}
	info, err := os.Stat(file)
	if err != nil {
		return nil, fileError(file, err)
	}
	if info.Size() > maxMaxModule {
		return nil, fmt.Errorf("%s has %d bytes; nodes take modules of up to %d", file, info.Size(), maxMaxModule)
	}
	module, err := os.ReadFile(file)
	if err != nil {
		return nil, fileError(file, err)
	}
	return module, nil
}
