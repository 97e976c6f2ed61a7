// Package registry brings WebAssembly modules from OCI registries, and where allowed from local files, to
// files on disk.
//
// A Store keeps a folder:
//
//	blobs/sha256/HEX   modules and layers, by the digest of their bytes
//	refs/HEX.json      what each reference meant when it was last pulled, by the reference's SHA-256
//	rootfs/HEX/        root filesystems, unpacked once for each list of layers, and an index of the modules in each; also the files
//	                   of other artifacts
//	rights/HEX.json    with whose credentials an image was pulled, by the SHA-256 of its ID; may be a folder elsewhere
//	lock               see lock.go
//	boot               see durable.go
//
// A file appears in it complete and verified, or not at all, and so does a root filesystem; what a crash left
// half-written is removed by New, but for blobs/sha256/HEX.part: the beginning of a blob, with which the next pull goes on. Files
// are synced after the pull (durable.go). What the machine's crash has damaged before is found out, and fetched or unpacked again; a
// process that is killed loses nothing. Folders are 0700 and files for the owner alone,
// but for those of images. Any number of processes may use a folder at the same time.
//
// A root filesystem is made where it is needed. PullToRun unpacks the layers in their order, each as soon as it and those below it are
// there, while others are still fetched. Lookup unpacks what is not unpacked, or not any more, of the layers that are here.
//
// Lookup answers from the folder alone. Pull and PullToRun always ask the registry what a reference means now, and
// fetch a module only if the folder does not hold it. When several callers pull one reference with equal credentials at the same
// time, one pull runs and all get its result; it goes on as long as any of them waits, and is
// cancelled when the last one gives up. The same holds for one module under several references. An image that was pulled with
// credentials is found only by those who show the same, or whose they are, as Config.Verify has it. LookupFiles and PullFiles are
// the same for images of any kind, whose files are shown in a volume (files.go).
//
// A registry may have mirrors, which are asked first (network.go); a pull tries each place with one credential after the other
// (remote.go, place.go). Images lists what there is, Remove and a Collector remove it, and never what a pull in this process
// or another has found; which images are used otherwise, their callers know.
//
// The wire's client is go-containerregistry's transport: names, the choice of scheme, authentication,
// retries; a server that asks to wait is waited for here. Manifests and blobs are requested here, so that each body is bounded, checked against its digest
// as it streams, gone on with where it broke off, and given up when it stalls.
//
// Errors are one line each, meant for `kubectl describe pod`, and one of the Err values tells their class.
package registry
