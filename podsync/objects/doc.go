// Package objects reads the ConfigMaps and Secrets that pods name, for volumes and for
// environments.
//
// If several callers ask for an object at the same time, it is read once. It is then kept for a
// while. A kept object may be up to 20 seconds old. A caller that needs the present object asks for
// it Fresh. An object that is marked immutable is kept as long as callers ask for it. Fresh reads
// it too, because it may have been deleted and made again.
//
// If an object does not exist, that result is kept like an object. Other errors go to the callers
// that waited for that read, and are then forgotten.
package objects
