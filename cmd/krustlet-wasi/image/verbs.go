package image

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sync/errgroup"

	"github.com/krustlet-go/krustlet-wasi/cmd/krustlet-wasi/cmdline"
	"github.com/krustlet-go/krustlet-wasi/cmd/krustlet-wasi/config"
	"github.com/krustlet-go/krustlet-wasi/cmd/krustlet-wasi/exit"
	"github.com/krustlet-go/krustlet-wasi/podsync/podfiles"
	"github.com/krustlet-go/krustlet-wasi/registry"
	"github.com/krustlet-go/krustlet-wasi/registry/credentials"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasmtime"
)

// pullImages pulls all images at the same time. If one fails, the others continue.
func pullImages(ctx context.Context, j job, images []string) error {
	shown := j.progress()
	settings := StoreConfig(j.cfg, j.Version, j.log)
	settings.Progress, settings.Preload = shown.blob, true
	store, err := registry.New(settings)
	if err != nil {
		return err
	}
	defer store.Close()
	keys, err := NewCredentials(j.cfg, j.Env, nil, j.log)
	if err != nil {
		return exit.BadUsage(err)
	}
	pull := store.Pull
	if j.unpack {
		pull = store.PullToRun
	}
	pulled := make([]*view, len(images))
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
	_ = group.Wait() // errs has the errors
	shown.end()
	var done []view
	for _, v := range pulled {
		if v != nil {
			done = append(done, *v)
		}
	}
	return errors.Join(append(errs, j.print(done, func() {
		for _, v := range done {
			cmdline.Printf(j.Stdout, "%s\n", v.ID)
		}
	}))...)
}

// usageIfInvalid marks an invalid image name as a user's mistake.
func usageIfInvalid(err error) error {
	if errors.Is(err, registry.ErrInvalidReference) {
		return exit.BadUsage(err)
	}
	return err
}

func listImages(_ context.Context, j job, _ []string) error {
	store, used, err := j.open()
	if err != nil {
		return err
	}
	defer store.Close()
	images, err := store.Images()
	if err != nil {
		return err
	}
	views := make([]view, 0, len(images))
	for _, i := range images {
		views = append(views, viewOf(i, used))
	}
	return j.print(views, func() { table(j.Stdout, views) })
}

func inspectImages(_ context.Context, j job, images []string) error {
	store, used, err := j.open()
	if err != nil {
		return err
	}
	defer store.Close()
	var errs []error
	views := make([]view, 0, len(images))
	for _, image := range images {
		found, err := store.Find(image)
		if err != nil {
			errs = append(errs, usageIfInvalid(err))
			continue
		}
		views = append(views, viewOf(found, used))
	}
	j.json = true
	return errors.Join(append(errs, j.print(views, nil))...)
}

// removal is what `image rm` prints.
type removal struct {
	Removed  []string `json:"removed"`
	Untagged []string `json:"untagged"`
	Freed    int64    `json:"freed"`
}

func removeImages(ctx context.Context, j job, images []string) error {
	store, used, err := j.open()
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
			freed, err := wasmtime.RemoveCompiled(config.CompiledDir(j.cfg.DataDir), digest)
			all.Freed += freed
			errs = append(errs, err)
		}
	}
	return errors.Join(append(errs, j.print(all, func() {
		for _, tag := range all.Untagged {
			cmdline.Printf(j.Stdout, "untagged %s\n", tag)
		}
		for _, id := range all.Removed {
			cmdline.Printf(j.Stdout, "removed %s\n", id)
		}
		if len(all.Removed) > 0 {
			cmdline.Printf(j.Stdout, "freed %s\n", size(all.Freed))
		}
	}))...)
}

// open opens the node's store, and returns the images that the node's pods use.
func (j job) open() (*registry.Store, []string, error) {
	store, err := OpenStore(j.cfg, j.Version, j.log)
	if err != nil {
		return nil, nil, err
	}
	used, err := podfiles.ImagesOnDisk(j.cfg.DataDir)
	return store, used, err
}

func pushImage(ctx context.Context, j job, args []string) error {
	file, image := args[0], args[1]
	module, err := readModule(file)
	if err != nil {
		return exit.BadUsage(err)
	}
	keys, err := NewCredentials(j.cfg, j.Env, nil, j.log)
	if err != nil {
		return exit.BadUsage(err)
	}
	shown := j.progress()
	shown.line("pushing %s to %s", file, image)
	id, err := registry.Push(ctx, image, module, registry.PushConfig{
		InsecureRegistries: j.cfg.InsecureRegistries,
		Authorities:        j.cfg.RegistryCAs,
		HostsDir:           j.cfg.RegistryConfigDir,
		UserAgent:          "krustlet-wasi/" + j.Version,
		Keys:               keys.For(credentials.Pod{}),
		Progress:           func(done, size int64) { shown.blob(image, done, size) },
		Author:             j.author,
	})
	shown.end()
	if err != nil {
		return usageIfInvalid(err)
	}
	return j.print(map[string]any{"id": id, "size": len(module)}, func() { cmdline.Printf(j.Stdout, "%s\n", id) })
}

func readModule(file string) ([]byte, error) {
	if err := config.Readable(file); err != nil {
		return nil, err
	}
	info, err := os.Stat(file)
	if err != nil {
		return nil, config.FileError(file, err)
	}
	if info.Size() > config.LargestModule {
		return nil, fmt.Errorf("%s has %d bytes; nodes take modules of up to %d", file, info.Size(), config.LargestModule)
	}
	module, err := os.ReadFile(file)
	if err != nil {
		return nil, config.FileError(file, err)
	}
	return module, nil
}
