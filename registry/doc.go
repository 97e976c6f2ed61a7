// Package registry brings WebAssembly modules from OCI registries to files on disk. If the
// configuration allows it, it also takes local files.
//
// A Store keeps a folder:
//
//	blobs/sha256/HEX   modules and layers, by the digest of their bytes
//	refs/HEX.json      what each reference meant at its last pull, by the SHA-256 of the reference
//	rootfs/HEX/        root filesystems, unpacked once for each list of layers, each with an index
//	                   of its modules; also the files of other artifacts
//	rights/HEX.json    whose credentials pulled an image, by the SHA-256 of its ID; this folder
//	                   may be elsewhere
//	lock               see lock.go
//	boot               see durable.go
//
// Files and root filesystems appear in it complete and verified; on an error they do not appear.
// New removes what a crash left half-written. It keeps blobs/sha256/HEX.part, the beginning of a
// blob; the next pull continues it. Files are synced after the pull (durable.go). If a crash of the
// machine damages some before that, they are fetched or unpacked again. If only the process is
// killed, nothing is lost. Folders are 0700. Only the owner may read files, except those of images.
// Any number of processes may use a folder at the same time.
//
// A root filesystem is made when it is needed. PullToRun unpacks the layers in order, each as soon
// as this layer and those below it are on disk. Other layers are fetched at the same time. Lookup
// unpacks an image whose layers are on disk, if that was not done before.
//
// Lookup answers from the folder alone. Pull and PullToRun always ask the registry what a reference
// means now, and fetch a module only if the folder does not hold it. When several callers pull one
// reference with equal credentials at the same time, one pull runs and all get its result. The pull
// is cancelled when the last waiting caller gives up. The same is true for one module under several
// references. Config.Verify says who may use an image that was pulled with credentials. By default
// these are callers with the same credentials, or with other credentials of the same owner.
// LookupFiles and PullFiles do the same for images of any kind; a volume shows their files
// (files.go).
//
// A registry may have mirrors, which are asked first. A pull tries each of them with one credential
// after the other (package distribution). Images lists the images. Remove and a Collector remove
// images, but never what a running pull of any process has found. Callers tell them which images
// are in use otherwise.
//
// Package distribution speaks to registries, package manifest reads their answers, package rootfs
// unpacks layers, package credentials finds credentials, and package fault has the classes of
// errors. In this package, disk has the data that a store keeps, fetches and unpacks have the work
// in progress, and syncer has the data that is not synced yet.
//
// Each error is one line, meant for `kubectl describe pod`. One of the Err values tells its class.
package registry
