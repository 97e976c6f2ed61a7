package bench

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	goruntime "runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/crane"
	ociregistry "github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/krustlet-go/krustlet-wasi/hack/guests"
	"github.com/krustlet-go/krustlet-wasi/registry"
)

// BenchmarkPull pulls images from a registry on loopback, and does the same with crane, in turn.
func BenchmarkPull(b *testing.B) {
	server := httptest.NewServer(ociregistry.New(ociregistry.Logger(log.New(io.Discard, "", 0)), ociregistry.WithBlobHandler(ociregistry.NewDiskBlobHandler(b.TempDir()))))
	b.Cleanup(server.Close)
	host := server.Listener.Addr().String()
	module, err := os.ReadFile(guests.Build(b, "kitchen"))
	if err != nil {
		b.Fatal(err)
	}
	var many []string
	for i := range 20 {
		many = append(many, pushModule(b, host, fmt.Sprintf("app%d:v1", i), withSection(module, []byte{byte(i)})))
	}
	b.Run("images20", func(b *testing.B) {
		compare(b, "crane", pullAll((*registry.Store).Pull, many...), craneAll(many...))
	})
	layers := pushLayers(b, host, 8)
	b.Run("layers8", func(b *testing.B) {
		compare(b, "crane", pullAll((*registry.Store).Pull, layers), craneAll(layers))
	})
	b.Run("layers8/unpacked", func(b *testing.B) {
		compare(b, "export", pullAll((*registry.Store).PullToRun, layers), craneExport(layers))
	})
	for _, mib := range []int{8, 128} {
		image := pushModule(b, host, fmt.Sprintf("size%d:v1", mib), withSection(module, make([]byte, mib<<20)))
		b.Run(fmt.Sprintf("memory/%dMiB", mib), func(b *testing.B) { pullMemory(b, image) })
	}
}

// withSection adds a section without a meaning to a module.
func withSection(module, content []byte) []byte {
	section := append([]byte{1, 'x'}, content...)
	size := len(section)
	out := append(slices.Clone(module), 0)
	for ; size >= 0x80; size >>= 7 {
		out = append(out, byte(size)|0x80)
	}
	return append(append(out, byte(size)), section...)
}

func pushModule(b *testing.B, host, name string, module []byte) (ref string) {
	b.Helper()
	ref = host + "/" + name
	if _, err := registry.Push(b.Context(), ref, module, registry.PushConfig{}); err != nil {
		b.Fatal(err)
	}
	return ref
}

// way gets an image in a new folder. If settle is not nil, the caller calls it at the end.
type way func(ctx context.Context, dir string) (settle func(), err error)

// compare runs our way and another's in turn, and reports the medians.
func compare(b *testing.B, name string, own, other way) {
	var ours, synced, others []time.Duration
	for b.Loop() {
		took, all := timed(b, own)
		ours, synced = append(ours, took), append(synced, all)
		took, _ = timed(b, other)
		others = append(others, took)
	}
	b.ReportMetric(milliseconds(median(ours)), "ms")
	b.ReportMetric(milliseconds(median(synced)), "synced-ms")
	b.ReportMetric(milliseconds(median(others)), name+"-ms")
	b.ReportMetric(float64(median(ours))/float64(median(others)), "x-"+name)
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func median(times []time.Duration) time.Duration {
	slices.Sort(times)
	return times[len(times)/2]
}

// timed measures a pull into a new folder. took is without the call of settle, and settled is with
// it.
func timed(b *testing.B, do way) (took, settled time.Duration) {
	b.Helper()
	dir, err := os.MkdirTemp(b.TempDir(), "")
	if err != nil {
		b.Fatal(err)
	}
	began := time.Now()
	settle, err := do(b.Context(), dir)
	if err != nil {
		b.Fatal(err)
	}
	took = time.Since(began)
	if settle != nil {
		settle()
	}
	settled = time.Since(began)
	if err := os.RemoveAll(dir); err != nil {
		b.Fatal(err)
	}
	return took, settled
}

// pullAll is a pull of each image into one store.
func pullAll(pull func(*registry.Store, context.Context, string, registry.Keys) (registry.Pulled, error), images ...string) way {
	return func(ctx context.Context, dir string) (settle func(), err error) {
		store, err := registry.New(registry.Config{Dir: dir, MaxParallelPulls: 10})
		if err != nil {
			return nil, err
		}
		return store.Close, atOnce(images, func(image string) error {
			_, err := pull(store, ctx, image, nil)
			return err
		})
	}
}

// craneAll is `crane pull --format=oci` of each image, ten at a time too.
func craneAll(images ...string) way {
	return func(ctx context.Context, dir string) (settle func(), err error) {
		turns, connections := make(chan struct{}, 10), ownConnections()
		return nil, atOnce(images, func(image string) error {
			turns <- struct{}{}
			defer func() { <-turns }()
			img, err := crane.Pull(image, crane.WithContext(ctx), connections)
			if err != nil {
				return err
			}
			return crane.SaveOCI(img, filepath.Join(dir, filepath.Base(image)))
		})
	}
}

// ownConnections makes new connections, as our store does, and as crane does as a process.
func ownConnections() crane.Option {
	return crane.WithTransport(remote.DefaultTransport.(*http.Transport).Clone())
}

// craneExport is `crane export`: it also unpacks the layers, into one tar.
func craneExport(image string) way {
	return func(ctx context.Context, dir string) (settle func(), err error) {
		img, err := crane.Pull(image, crane.WithContext(ctx), ownConnections())
		if err != nil {
			return nil, err
		}
		f, err := os.Create(filepath.Join(dir, "root.tar"))
		if err != nil {
			return nil, err
		}
		return nil, errors.Join(crane.Export(img, f), f.Close())
	}
}

func atOnce(images []string, do func(string) error) error {
	errs := make([]error, len(images))
	var all sync.WaitGroup
	for i, image := range images {
		all.Go(func() { errs[i] = do(image) })
	}
	all.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// pullMemory reports how much the heap grew at most while an image was pulled.
func pullMemory(b *testing.B, image string) {
	var most uint64
	for b.Loop() {
		goruntime.GC()
		before := heap()
		stop, stopped := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(stopped)
			for tick := time.NewTicker(time.Millisecond); ; {
				select {
				case <-tick.C:
					if now := heap(); now > before {
						most = max(most, now-before)
					}
				case <-stop:
					tick.Stop()
					return
				}
			}
		}()
		timed(b, pullAll((*registry.Store).Pull, image))
		close(stop)
		<-stopped
	}
	b.ReportMetric(float64(most)/(1<<20), "heap-MiB")
}

func heap() uint64 {
	var m goruntime.MemStats
	goruntime.ReadMemStats(&m)
	return m.HeapAlloc
}

// pushLayers publishes an image whose root filesystem has n layers: a module, and 4 MiB of noise in
// each layer.
func pushLayers(b *testing.B, host string, n int) (ref string) {
	b.Helper()
	module, err := os.ReadFile(guests.Build(b, "hello"))
	if err != nil {
		b.Fatal(err)
	}
	img, err := mutate.ConfigFile(empty.Image, &v1.ConfigFile{
		OS: "wasip1", Architecture: "wasm", Config: v1.Config{Entrypoint: []string{"/hello.wasm"}},
	})
	for i := range n {
		files := map[string][]byte{fmt.Sprintf("noise%d", i): make([]byte, 4<<20)}
		_, _ = rand.Read(files[fmt.Sprintf("noise%d", i)]) // never returns an error
		if i == 0 {
			files["hello.wasm"] = module
		}
		layer, layerErr := crane.Layer(files)
		if err = errors.Join(err, layerErr); err == nil {
			img, err = mutate.AppendLayers(img, layer)
		}
	}
	ref = host + "/layers:v1"
	if err = errors.Join(err, crane.Push(img, ref)); err != nil {
		b.Fatal(err)
	}
	return ref
}
