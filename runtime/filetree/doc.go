// Package filetree walks, counts and removes trees of files that others have made, mainly guests.
// The owners may change the trees at the same time.
//
// A tree may have any depth and any width. A walk uses descriptors and single names, so no path is
// too long for it. It holds at most 20 descriptors, and 32 bytes for each level below the top. It
// never holds a whole directory in memory.
//
// A walk stays inside its tree: it follows no link and crosses no mount point, not even a bind
// mount. On the way up it uses `..`, and checks that this is the directory from which it came. If a
// directory was moved away in the meantime, the walk ends with an error and does not follow it.
//
// This package starts no goroutines. When the context ends, a walk ends within some dozens of
// entries. If a disk does not answer, the walk waits for it.
package filetree
