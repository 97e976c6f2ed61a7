package informer

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"go.uber.org/zap"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/krustlet-go/krustlet-wasi/runtime/pause"
)

const (
	// pageSize is how many objects are requested at a time. Even if all are as large as etcd
	// allows, a page is smaller than the largest answer that a client reads.
	pageSize = 50
	// maxPages is how many pages a list may have. It is enough for twice the terminal pods that a
	// whole cluster keeps by default.
	maxPages = 500
	// listTimeout bounds the request for one page.
	listTimeout = time.Minute
	// watchTimeoutMin is the shortest life of a watch that the client asks the server for. The
	// longest is twice that. The time is random, so that the watches of many nodes do not end
	// together.
	watchTimeoutMin = 5 * time.Minute
	// watchGrace is how much longer than that a watch may live before the client abandons the
	// connection.
	watchGrace = 30 * time.Second
)

var errSilentWatch = errors.New("the server did not end the watch in time, the connection is abandoned")

// Run lists and watches until ctx ends, then returns nil. A failure of the server or the network
// does not end it. It can be called only once; a second call returns an error.
func (i *Informer[T]) Run(ctx context.Context) error {
	if !i.running.CompareAndSwap(false, true) {
		return errors.New("informer: Run was called before")
	}
	var attempts retry
	for {
		result, err := i.attempt(ctx)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // Run ends with ctx
		}
		again := attempts.next(result, rand.Float64())
		i.report(err, again)
		_ = pause.For(ctx, again) // the loop ends with ctx
	}
}

// attempt lists, if the state is not known, and then watches. It returns when the watch has ended,
// or if either fails.
func (i *Informer[T]) attempt(ctx context.Context) (outcome, error) {
	var result outcome
	var err error
	if !i.inSync {
		err = i.relist(ctx)
	}
	if err == nil {
		i.inSync = true
		from := i.store.version
		result.reached, result.lived, err = i.follow(ctx)
		result.moved = err == nil && i.store.version != from
	}
	if needsList(err) {
		i.inSync = false
	}
	if stale(err) {
		result.reached = true
	}
	result.orderly = err == nil || stale(err)
	return result, err
}

// report logs the end of an attempt. It logs only the first of several failures in a row.
func (i *Informer[T]) report(err error, again time.Duration) {
	switch {
	case err == nil:
		i.log.Debug("the watch ended, resuming it", zap.Duration("in", again))
	case stale(err):
		i.log.Info("the watch cannot go on, listing again", zap.Error(err), zap.Duration("in", again))
	case !i.failing:
		i.failing = true
		i.log.Warn("cannot list and watch, trying again until it works", zap.Error(err), zap.Duration("in", again))
	default:
		i.log.Debug("still cannot list and watch", zap.Error(err), zap.Duration("in", again))
	}
}

// relist reads the whole set and reports the differences to the handler.
func (i *Informer[T]) relist(ctx context.Context) error {
	items, version, err := i.list(ctx, pageSize)
	if apierrors.IsResourceExpired(err) {
		// The server compacted the versions of the pages while the pages were read.
		items, version, err = i.list(ctx, 0)
	}
	if err != nil {
		return fmt.Errorf("listing: %w", err)
	}
	i.mu.Lock()
	first := i.store.version == ""
	changes := i.store.replace(items, version)
	i.mu.Unlock()
	i.deliver(changes)
	if first {
		close(i.synced)
	}
	return nil
}

// list reads all pages. Each has at most limit objects; 0 means one page of any size. The
// resourceVersion is empty, which asks for the newest state. A list from a cache might be older
// than the store.
func (i *Informer[T]) list(ctx context.Context, limit int64) ([]T, string, error) {
	var all []T
	opts := metav1.ListOptions{Limit: limit}
	for range maxPages {
		page, meta, err := i.listPage(ctx, opts)
		if err != nil {
			return nil, "", err
		}
		if meta.ResourceVersion == "" {
			return nil, "", errors.New("the server sent a list without a resourceVersion")
		}
		all = append(all, page...)
		if meta.Continue == "" {
			return all, meta.ResourceVersion, nil
		}
		if meta.Continue == opts.Continue {
			return nil, "", errors.New("the server sent a page whose next page is itself")
		}
		opts.Continue = meta.Continue
	}
	return nil, "", fmt.Errorf("the server sent a list of more than %d pages", maxPages)
}

func (i *Informer[T]) listPage(ctx context.Context, opts metav1.ListOptions) ([]T, metav1.ListMeta, error) {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	return i.source.List(ctx, opts)
}

// follow watches from the store's version on, until the watch ends. It returns no error if the
// server ended the watch in an orderly way. It returns whether the watch started, and how long it
// lived.
func (i *Informer[T]) follow(ctx context.Context) (bool, time.Duration, error) {
	life := watchTimeoutMin + rand.N(watchTimeoutMin)
	ctx, cancel := context.WithTimeoutCause(ctx, life+watchGrace, errSilentWatch)
	defer cancel()

	seconds := int64(life / time.Second)
	events, err := i.source.Watch(ctx, metav1.ListOptions{
		ResourceVersion:     i.store.version,
		AllowWatchBookmarks: true,
		TimeoutSeconds:      &seconds,
	})
	if err != nil {
		return false, 0, fmt.Errorf("watching: %w", err)
	}
	defer events.Stop()
	began := time.Now()
	if i.failing {
		i.failing = false
		i.log.Info("list and watch work again")
	}
	err = i.drain(ctx, events.ResultChan())
	return true, time.Since(began), err
}

// drain takes events until there are no more.
func (i *Informer[T]) drain(ctx context.Context, events <-chan watch.Event) error {
	for {
		select {
		case <-ctx.Done():
			return fmt.Errorf("watching: %w", context.Cause(ctx))
		case event, open := <-events:
			if !open {
				return nil
			}
			if err := i.take(event); err != nil {
				return fmt.Errorf("watching: %w", err)
			}
		}
	}
}

func (i *Informer[T]) take(event watch.Event) error {
	i.mu.Lock()
	changes, err := i.store.apply(event)
	i.mu.Unlock()
	i.deliver(changes)
	return err
}

func (i *Informer[T]) deliver(changes []change[T]) {
	for _, c := range changes {
		if c.deleted {
			i.handler.Delete(c.old)
		} else {
			i.handler.Set(c.old, c.new)
		}
	}
}
