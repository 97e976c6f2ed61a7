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

// ListWatch is where the objects come from: the List and Watch calls of a typed
// client, narrowed by the caller to a namespace or a selector. Both functions
// must use the options that they are given and add their selectors to them.
type ListWatch[T metav1.Object] struct {
	// List returns one page of objects with the list's own metadata, whose
	// Continue is empty on the last page. The objects become the informer's.
	List func(ctx context.Context, opts metav1.ListOptions) ([]T, metav1.ListMeta, error)
	// Watch starts a watch. Its event objects become the informer's.
	Watch func(ctx context.Context, opts metav1.ListOptions) (watch.Interface, error)
}

// Pointers returns a pointer to a copy of each item, as a List function needs
// them. Each is an allocation of its own, so that one object which is kept does
// not keep the whole list in memory.
func Pointers[O any](items []O) []*O {
	pointers := make([]*O, len(items))
	for i := range items {
		item := items[i]
		pointers[i] = &item
	}
	return pointers
}

// Handler is called for changes. Both functions are required.
type Handler[T metav1.Object] struct {
	// Set reports that an object is new or has changed. Old is the zero value
	// of T where the object is new; otherwise it has the same UID.
	Set func(old, new T)
	// Delete reports that an object was deleted. Last is its final state if the server reported the
	// deletion, and its last known state if that was missed.
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
	failing bool // the last attempts failed, and that was logged

	mu    sync.RWMutex
	store store[T] // written by Run alone, which may read it without the lock
}

// New makes an informer, which does nothing before Run. A missing function is a
// programming error and panics.
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

// WaitForSync returns nil once the first list has been delivered to the handler
// in full, or an error that wraps the cause of ctx's end.
func (i *Informer[T]) WaitForSync(ctx context.Context) error {
	select {
	case <-i.synced:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for the first list: %w", context.Cause(ctx))
	}
}

// Get returns the object of that name. Namespace is empty for objects that have
// none.
func (i *Informer[T]) Get(namespace, name string) (T, bool) {
	i.mu.RLock()
	defer i.mu.RUnlock()
	object, found := i.store.objects[types.NamespacedName{Namespace: namespace, Name: name}]
	return object, found
}

// List returns all objects as they are now, in no order. The slice is the
// caller's, the objects are shared.
func (i *Informer[T]) List() []T {
	i.mu.RLock()
	defer i.mu.RUnlock()
	objects := make([]T, 0, len(i.store.objects))
	for _, object := range i.store.objects {
		objects = append(objects, object)
	}
	return objects
}
