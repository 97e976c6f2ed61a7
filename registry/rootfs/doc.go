// Package rootfs makes a folder from an image's layers, and finds the WebAssembly modules in it.
//
// Layers are not trusted. A tar can never write outside of the folder: every name is walked below
// an os.Root, one component at a time. Links on the way lead where they would lead in the image;
// this is also true for absolute links. Limits bound the bytes, the entries and the bytes of names
// of an image. A layer may unpack only to a limited multiple of its own size. These are refused
// with an error, ErrInvalid or ErrTooLarge: absolute names and names with `..`, hard links to files
// that are not in the image, names, depths and modules above the bounds, and tars that end early. A
// layer whose content differs from the digest in the image's config is refused, too (ErrDigest).
//
// For a file, the content, name, permissions and modification time are taken from the tar. Owners
// are ignored, because guests have no users, and the files must belong to the agent. Extended
// attributes and the bits that change users (setuid, setgid, sticky) are ignored, too. The owner
// can always read and write a file, and enter a directory. Devices and named pipes are skipped,
// because guests cannot use them.
//
// Whiteouts are those of the OCI image specification: `.wh.NAME` hides NAME of the layers below,
// and `.wh..wh..opq` hides everything that the layers below have in its directory. The order of a
// layer's entries does not matter. A layer is a tar, or a tar in gzip or zstd; its first bytes show
// which.
package rootfs
