package main

import (
	"cmp"
	"context"
	"os"
	"slices"

	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"github.com/krustlet-go/krustlet-wasi/cmd/krustlet-wasi/config"
	"github.com/krustlet-go/krustlet-wasi/cmd/krustlet-wasi/image"
	"github.com/krustlet-go/krustlet-wasi/registry"
	"github.com/krustlet-go/krustlet-wasi/registry/credentials"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasmtime"
)

// newImages opens the store of the agent's images, and finds the node's credentials for them.
func newImages(cfg config.Config, client kubernetes.Interface, log *zap.Logger) (*registry.Store, *credentials.Source, error) {
	store, err := image.OpenStore(cfg, programVersion(), log)
	if err != nil {
		return nil, nil, err
	}
	keys, err := image.NewCredentials(cfg, os.LookupEnv, client.CoreV1(), log)
	return store, keys, err
}

// newCollector makes the collector that removes images that no pod uses, and their compiled code.
func (a *agent) newCollector() (*registry.Collector, error) {
	self := &corev1.ObjectReference{Kind: "Node", Name: a.cfg.NodeName, UID: types.UID(a.cfg.NodeName)}
	return a.images.NewCollector(registry.CollectorConfig{
		HighPercent: a.cfg.ImageGCHighThreshold,
		LowPercent:  a.cfg.ImageGCLowThreshold,
		MinAge:      a.cfg.ImageMinimumAge,
		MaxAge:      a.cfg.ImageMaximumAge,
		Used:        a.pods.UsedImages,
		Removed: func(digest string) {
			if _, err := wasmtime.RemoveCompiled(config.CompiledDir(a.cfg.DataDir), digest); err != nil {
				a.log.Warn("compiled code of a removed image stays on disk", zap.String("digest", digest), zap.Error(err))
			}
		},
		Event: func(reason, message string) { a.events.Event(self, corev1.EventTypeWarning, reason, message) },
	})
}

// freeImages removes all images that no pod uses.
func (a *agent) freeImages(ctx context.Context) {
	if err := a.collector.CollectAll(ctx); err != nil && ctx.Err() == nil {
		a.log.Warn("removing images did not succeed", zap.Error(err))
	}
}

// collect runs the collector, once the agent knows which images are in use.
func collect(ctx context.Context, collector *registry.Collector, known <-chan struct{}) {
	select {
	case <-known:
		collector.Run(ctx)
	case <-ctx.Done():
	}
}

// imagesOfNode are the images in the form of the Node's status, the largest first.
func imagesOfNode(store *registry.Store, log *zap.Logger) []corev1.ContainerImage {
	images, err := store.Images()
	if err != nil {
		log.Warn("the node's images cannot be listed", zap.Error(err))
	}
	slices.SortStableFunc(images, func(a, b registry.Image) int { return cmp.Compare(b.Size, a.Size) })
	var all []corev1.ContainerImage
	for _, i := range images {
		all = append(all, corev1.ContainerImage{Names: append([]string{i.ID}, i.Tags...), SizeBytes: i.Size})
	}
	return all
}
