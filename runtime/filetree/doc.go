// Package filetree walks, counts and removes trees of files that others have made, and may change meanwhile: guests above all.
//
// A tree may be of any depth and any width. A walk goes by descriptors, one name after the other, so that no path can be too long
// for it. It holds at most 20 descriptors, and 32 bytes for each level that it is below the top; it never reads a directory as a
// whole.
//
// A walk stays in its tree: it follows no link and crosses no mount point, bind mounts included. On the way up it goes by `..`, and
// only if that is the directory from which it came: one that was moved away meanwhile ends the walk, with an error, and does not
// lead it elsewhere.
//
// Nothing here starts goroutines. A context ends every walk within some dozens of entries; a disk that does not answer holds it up.
package filetree
