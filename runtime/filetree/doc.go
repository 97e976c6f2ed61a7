// Package filetree walks, counts and removes trees of files that others have made, guests above
// all, and that they may change meanwhile.
//
// A tree may be of any depth and any width. A walk goes by descriptors, one name after the other,
// so that no path is too long for it. It holds at most 20 descriptors, and 32 bytes for each level
// that it is below the top. It never reads a directory as a whole.
//
// A walk stays in its tree: it follows no link and crosses no mount point, bind mounts included. On
// the way up it goes by `..`, and checks that this is the directory from which it came. If a
// directory was moved away meanwhile, the walk ends with an error, and does not go elsewhere.
//
// Nothing here starts goroutines. A context ends every walk within some dozens of entries. A disk
// that does not answer holds a walk up.
package filetree
