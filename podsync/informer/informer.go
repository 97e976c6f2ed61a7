package informer

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"go.uber.org/zap"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
)

// ListWatch is the source of the objects: the List and Watch calls of a typed client, for a
// namespace or a selector. Both functions must use the given options and add their selectors to
// them.
type ListWatch[T metav1.Object] struct {
	// List returns one page of objects and the list's metadata. Continue is empty on the last page.
	// The informer owns the objects afterwards.
	List func(ctx context.Context, opts metav1.ListOptions) ([]T, metav1.ListMeta, error)
	// Watch starts a watch. The informer owns the objects in its events.
	Watch func(ctx context.Context, opts metav1.ListOptions) (watch.Interface, error)
}

// Pointers returns a pointer to a copy of each item, as a List function needs them. It allocates
// each copy separately, so that the whole list does not stay in memory while one object is in use.
func Pointers[O any](items []O) []*O {
	pointers := make([]*O, len(items))
	for i := range items {
		item := items[i]
		pointers[i] = &item
	}
	return pointers
}

// Handler has the functions that the informer calls for changes. Both are required.
type Handler[T metav1.Object] struct {
	// Set reports that an object is new or has changed. For a new object, old is the zero value of
	// T. Otherwise old has the same UID.
	Set func(old, new T)
	// Delete reports that an object was deleted. Last is the final state, if the server reported
	// the deletion. Otherwise it is the last known state.
	Delete func(last T)
}

// Informer is a local copy of a set of objects. Make one with New.
type Informer[T metav1.Object] struct {
	source  ListWatch[T]
	handler Handler[T]
	log     *zap.Logger

	running atomic.Bool
	synced  chan struct{} // closed by Run

	// Only Run uses these..
	inSync  bool // the watch can go on from the store's version
	failing bool // the last attempts failed, and that is logged

	mu    sync.RWMutex
	store store[T] // only Run writes it, and reads it without the lock
}

// New makes an informer. It does nothing before Run. If a function is missing, New panics, because
// that is an error in the program.
func New[T metav1.Object](source ListWatch[T], handler Handler[T], log *zap.Logger) *Informer[T] {
	if source.List == nil || source.Watch == nil || handler.Set == nil || handler.Delete == nil || log == nil {
		panic("informer: New needs List, Watch, Set, Delete and a logger")
	}
	return &Informer[T]{
		source:  source,
		handler: handler,
		log:     log,
		synced:  make(chan struct{}),
		store:   newStore[T](),
	}
}

// WaitForSync returns nil when the handler has got the whole first list. If ctx ends before, it
// returns an error that wraps the cause.
func (i *Informer[T]) WaitForSync(ctx context.Context) error {
	select {
	case <-i.synced:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for the first list: %w", context.Cause(ctx))
	}
}

// Get returns the object of that name. The namespace is empty for objects without one.
func (i *Informer[T]) Get(namespace, name string) (T, bool) {
	i.mu.RLock()
	defer i.mu.RUnlock()
	object, found := i.store.objects[types.NamespacedName{Namespace: namespace, Name: name}]
	return object, found
}

// List returns all objects as they are now, in no order. The caller owns the slice; the objects are
// shared.
func (i *Informer[T]) List() []T {
	i.mu.RLock()
	defer i.mu.RUnlock()
	objects := make([]T, 0, len(i.store.objects))
	for _, object := range i.store.objects {
		objects = append(objects, object)
	}
	return objects
}
