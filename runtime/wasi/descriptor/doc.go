// Package descriptor has what WASI 0.2 and 0.3 share of files: descriptors with their flags, how
// paths open, times, and error codes. The bindings of both stand on it.
//
// # Descriptors
//
// A Descriptor belongs to a Set, which closes what the guest left open. It stays open while it is
// in use: a stream that was made of it goes on after the guest dropped its handle.
//
// # Flags
//
// The flags of a file say what it was opened for, and the kernel holds that. Flags of a directory
// say what the guest asked for, and nothing more: what may be changed is what the mount allows.
// In WASI only a directory with mutate-directory can be changed, but the adapter that
// makes components of preview 1 modules does not set the flag for theirs, and other hosts do not
// ask for it.
//
// # Paths
//
// A path must not be absolute, must not lead above its directory (wasi.Config.Confined), and has no
// zero byte.
package descriptor
