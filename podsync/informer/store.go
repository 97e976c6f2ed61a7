package informer

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/apimachinery/pkg/watch"
)

// store is the copy, without managed fields: they are a tenth of a pod, and no part of a node needs
// them. It computes what each list and event changes. It does no I/O and takes no lock.
type store[T metav1.Object] struct {
	objects map[types.NamespacedName]T
	// version is a resourceVersion. objects is known to be correct up to it, and a watch continues
	// from it. It is empty before the first list.
	version string
}

// change is one call of the handler: Delete(old) if deleted, else Set(old, new).
type change[T metav1.Object] struct {
	deleted  bool
	old, new T
}

// brokenError means that an event contradicts the store. One of them is wrong, and only a new list
// can show the true state.
type brokenError struct {
	reason string
}

func (e *brokenError) Error() string { return "the watch contradicts the store: " + e.reason }

// eventError is the status that an ERROR event carried.
type eventError struct {
	status error
}

func (e *eventError) Error() string { return "the server reported an error: " + e.status.Error() }
func (e *eventError) Unwrap() error { return e.status }

func newStore[T metav1.Object]() store[T] {
	return store[T]{objects: map[types.NamespacedName]T{}}
}

// replace makes the store equal to a complete list and returns the changes. Deleted objects come
// first, in the order of their names. Then come new and changed objects, in the order of the list.
// An object with a known UID and resourceVersion has not changed.
//
// The store believes the list even if its resourceVersion is below the known one. That happens when
// the cluster's storage was restored from a backup.
func (s *store[T]) replace(items []T, version string) []change[T] {
	next := make(map[types.NamespacedName]T, len(items))
	var sets []change[T]
	for _, item := range items {
		item.SetManagedFields(nil)
		key := keyOf(item)
		known, found := s.objects[key]
		switch {
		case !found || known.GetUID() != item.GetUID():
			sets = append(sets, change[T]{new: item})
		case known.GetResourceVersion() != item.GetResourceVersion():
			sets = append(sets, change[T]{old: known, new: item})
		default:
			item = known
		}
		next[key] = item
	}

	var changes []change[T]
	for key, known := range s.objects {
		if item, found := next[key]; !found || item.GetUID() != known.GetUID() {
			changes = append(changes, change[T]{deleted: true, old: known})
		}
	}
	slices.SortFunc(changes, func(a, b change[T]) int {
		return strings.Compare(keyOf(a.old).String(), keyOf(b.old).String())
	})

	s.objects, s.version = next, version
	return append(changes, sets...)
}

// apply takes one event of the watch into the store and returns the changes. It returns a
// *brokenError or an *eventError, and then it has not changed the store.
func (s *store[T]) apply(event watch.Event) ([]change[T], error) {
	if event.Type == watch.Error {
		return nil, &eventError{apierrors.FromObject(event.Object)}
	}
	object, ok := any(event.Object).(T)
	if !ok {
		return nil, &brokenError{fmt.Sprintf("event %q carries a %T", event.Type, event.Object)}
	}
	object.SetManagedFields(nil)
	version := object.GetResourceVersion()
	if event.Type == watch.Bookmark {
		if version != "" && !older(version, s.version) {
			s.version = version
		}
		return nil, nil
	}
	if version == "" || older(version, s.version) {
		return nil, &brokenError{fmt.Sprintf("event %q of %s is of resourceVersion %q, but %q is known already",
			event.Type, keyOf(object), version, s.version)}
	}

	var changes []change[T]
	var err error
	switch event.Type {
	case watch.Added, watch.Modified:
		changes = s.set(object)
	case watch.Deleted:
		changes, err = s.remove(object)
	default:
		err = &brokenError{fmt.Sprintf("event type %q is unknown", event.Type)}
	}
	if err != nil {
		return nil, err
	}
	s.version = version
	return changes, nil
}

func (s *store[T]) set(object T) []change[T] {
	key := keyOf(object)
	known, found := s.objects[key]
	switch {
	case !found:
		s.objects[key] = object
		return []change[T]{{new: object}}
	case known.GetUID() != object.GetUID():
		s.objects[key] = object
		return []change[T]{{deleted: true, old: known}, {new: object}}
	case known.GetResourceVersion() == object.GetResourceVersion():
		return nil
	default:
		s.objects[key] = object
		return []change[T]{{old: known, new: object}}
	}
}

// remove returns no change if the object is unknown, because the store does not have it before or
// after.
func (s *store[T]) remove(object T) ([]change[T], error) {
	key := keyOf(object)
	known, found := s.objects[key]
	switch {
	case !found:
		return nil, nil
	case known.GetUID() != object.GetUID():
		return nil, &brokenError{fmt.Sprintf("%s of UID %s is deleted, but UID %s is known under that name",
			key, object.GetUID(), known.GetUID())}
	default:
		delete(s.objects, key)
		return []change[T]{{deleted: true, old: object}}, nil
	}
}

// stale reports whether err means that the watch cannot go on from the store's version, while
// nothing else is wrong. If the server says that the version is invalid, the list that had it was
// invalid.
func stale(err error) bool {
	var broken *brokenError
	return errors.As(err, &broken) ||
		apierrors.IsResourceExpired(err) || apierrors.IsGone(err) ||
		apierrors.IsBadRequest(err) || apierrors.IsInvalid(err) ||
		apierrors.HasStatusCause(err, metav1.CauseTypeResourceVersionTooLarge)
}

// needsList reports whether only a new list helps after err. It also returns true for every ERROR
// event, because events before or after it may be lost. If a watch could not be started, or was cut
// off, it is resumed instead.
func needsList(err error) bool {
	var reported *eventError
	return stale(err) || errors.As(err, &reported)
}

// older reports whether resourceVersion a is certainly before b. Versions that are not numbers
// cannot be compared. Then the informer believes the server's order.
func older(a, b string) bool {
	order, err := resourceversion.CompareResourceVersion(a, b)
	return err == nil && order < 0
}

func keyOf(object metav1.Object) types.NamespacedName {
	return types.NamespacedName{Namespace: object.GetNamespace(), Name: object.GetName()}
}
