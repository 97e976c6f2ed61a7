// Package informer keeps a local copy of a set of Kubernetes objects, and reports the changes to
// one handler.
//
// It lists once, then watches from the list's resourceVersion. If the server ends the watch, the
// informer resumes it at the same version. It lists again only if the server does not know that
// version any more (410 Gone), or if an event contradicts the copy. Then it computes the missed
// changes from the difference between the copy and the new list. So the handler sees ordinary
// changes after a gap.
//
// # Ordering
//
// The goroutine of [Informer.Run] calls the handler's functions one at a time, in the order in
// which the server reported the changes. After a new list, deleted objects come first, then new and
// changed ones. The UID identifies an object. If an object was deleted and created again under its
// name, the handler gets a Delete of the old object and then a Set without an old object, even if
// the server reported both in one event. A Delete always has an earlier Set. Two objects never have
// the same name at one time.
//
// # Blocking
//
// The informer reports nothing else while a handler's function runs. So the function should hand
// its work to another goroutine and return. [Informer.Get] and [Informer.List] may be called from
// anywhere, also from the handler. They show the copy as it is now. After a new list the copy may
// be newer than the change that the handler gets.
//
// # Ownership
//
// The copy, the handler and all callers of Get and List share the objects. They must not change
// them; they may change a DeepCopy.
//
// # Broken connections
//
// If a connection breaks without a message, the HTTP/2 health check of client-go notices that: it
// sends a ping after 30 s of silence, and waits 15 s for the answer. There is a second check, which
// does not need the transport. Each watch asks the server to end it after five to ten minutes. If
// the server does not end it, the client abandons it half a minute later.
package informer
