// Package objects reads the ConfigMaps and Secrets that pods name, for volumes and for
// environments.
//
// An object is read once for all who ask for it at the same time, and kept for a while. A kept one
// may be up to 20 seconds old. A caller that needs the object as it is now asks for it Fresh. An
// object that is marked immutable is kept while it is asked for. Fresh reads it too, because it may
// have been deleted and made again.
//
// That an object does not exist is kept like an object. Other errors are returned to the callers
// that waited for that read, and then forgotten.
package objects
