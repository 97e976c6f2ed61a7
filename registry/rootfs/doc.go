// Package rootfs makes a folder of an image's layers, and knows the WebAssembly modules in it.
//
// Layers come from strangers. Whatever a tar says, nothing is written outside of the folder: every
// name is walked below an os.Root, one component at a time, and links on the way lead where they
// would lead in the image, absolute ones too. An image may not have more bytes, entries, or bytes
// of names than its Limits, nor may a layer unpack to much more than it is itself. Refused with an
// error, ErrInvalid or ErrTooLarge: names with `..` and absolute ones, hard links to what is not in
// the image, names, depths and modules beyond what is bounded, tars that end early, layers whose
// content is not what the image's config says (ErrDigest).
//
// Of what a tar says of a file, its content, name, permissions and time of change are taken. Owners
// are not: guests have no users, and the files must belong to the agent. Nor are extended
// attributes, and the bits that change users (setuid, setgid, sticky). A file can always be read
// and written by its owner, a directory be entered too. Devices and named pipes are skipped: guests
// have no use for them.
//
// Whiteouts are those of the OCI image specification: `.wh.NAME` hides NAME, `.wh..wh..opq` all of
// its directory, in the layers below, whatever the order of a layer's entries. Layers may be tars,
// or tars in gzip or zstd, told by their first bytes.
package rootfs
