// Package registry brings WebAssembly modules from OCI registries to files on disk. Where that is
// allowed, it also takes local files.
//
// A Store keeps a folder:
//
//	blobs/sha256/HEX   modules and layers, by the digest of their bytes
//	refs/HEX.json      what each reference meant at its last pull, by the SHA-256 of the reference
//	rootfs/HEX/        root filesystems, unpacked once for each list of layers, each with an index
//	                   of its modules; also the files of other artifacts
//	rights/HEX.json    with whose credentials an image was pulled, by the SHA-256 of its ID; the
//	                   folder may be elsewhere
//	lock               see lock.go
//	boot               see durable.go
//
// Files and root filesystems appear in it complete and verified, or they do not appear. New removes
// what a crash left half-written. It keeps blobs/sha256/HEX.part, the beginning of a blob, from
// which the next pull continues. Files are synced after the pull (durable.go). If a crash of the
// machine damages some before that, they are fetched or unpacked again. A killed process loses
// nothing. Folders are 0700, and only the owner may read files, except those of images. Any number
// of processes may use a folder at the same time.
//
// A root filesystem is made when it is needed. PullToRun unpacks the layers in their order, each as
// soon as it and those below it are on disk, while others are still fetched. Lookup unpacks an
// image whose layers are on disk and that is not unpacked.
//
// Lookup answers from the folder alone. Pull and PullToRun always ask the registry what a reference
// means now, and fetch a module only if the folder does not hold it. When several callers pull one
// reference with equal credentials at the same time, one pull runs and all get its result. It runs
// while any of them waits, and is cancelled when the last one gives up. The same is true for one
// module under several references. Config.Verify says who may have an image that was pulled with
// credentials: by default those who show the same ones, or others of the same owner. LookupFiles
// and PullFiles are the same for images of any kind, whose files are shown in a volume (files.go).
//
// A registry may have mirrors, which are asked first. A pull tries each of them with one credential
// after the other (package distribution). Images lists the images. Remove and a Collector remove
// them, but never what a pull in this process or another has found. Their callers tell them which
// images are used otherwise.
//
// Package distribution speaks to registries, package manifest reads what they answer, package
// rootfs unpacks layers, package credentials finds credentials, and package fault has the classes
// of errors. Here, disk has what a store keeps, fetches and unpacks have what is on the way, and
// syncer has what is not synced.
//
// Errors are one line each, meant for `kubectl describe pod`, and one of the Err values tells their
// class.
package registry
