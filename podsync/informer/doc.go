// Package informer keeps a local copy of a set of Kubernetes objects and tells
// one handler what changed.
//
// It lists once, then watches from the list's resourceVersion. A watch that the
// server ends is resumed where it stopped; the set is listed again only when
// the server no longer knows that point in time (410 Gone) or when an event
// contradicts what is known. Whatever was missed in between is worked out from
// the difference between the copy and the new list, so the handler sees a gap
// as ordinary changes.
//
// # Ordering
//
// The handler's functions are called one at a time by the goroutine that is in
// [Informer.Run], in the order in which the server reported the changes. After
// a new list the objects that were deleted come first, then the new and changed
// ones. An object is identified by its UID: one that was deleted and created
// again under the same name is a Delete of the old object followed by a Set
// without an old object, even when the server told of it in a single event.
// There is never a Delete without an earlier Set, nor two objects of one name at
// the same time.
//
// # Blocking
//
// While a handler runs, nothing else is delivered; it should hand its work over
// and return. [Informer.Get] and [Informer.List] may be called from anywhere,
// the handler included. They show the copy as it is now, which after a new list
// may be ahead of the change that the handler is being told of.
//
// # Ownership
//
// Objects are shared between the copy, the handler and every caller of Get and
// List. They must not be changed; DeepCopy first.
//
// # Broken connections
//
// A connection that breaks without a message is noticed by the HTTP/2 health check
// of client-go (a ping after 30 s of silence, 15 s for its answer). Below that
// lies a second net which needs no help from the transport: each watch asks the
// server to end it after five to ten minutes, and is abandoned by the client
// half a minute after that time.
package informer
