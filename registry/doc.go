// Package registry brings WebAssembly modules from OCI registries, and where allowed from local files, to
// files on disk.
//
// A Store keeps a folder:
//
//	blobs/sha256/HEX   modules and layers, by the digest of their bytes
//	refs/HEX.json      what each reference meant when it was last pulled, by the reference's SHA-256
//	rootfs/HEX/        root filesystems, unpacked once for each list of layers, and an index of the modules in each
//
// A file or a root filesystem appears in it complete, verified and synced, or not at all; what a crash left half-written is removed
// by New. Folders are 0700 and files 0600, but for those of images. One process at a time may use a folder.
//
// Lookup answers from the folder alone. Pull always asks the registry what a reference means now, and
// fetches a module only if the folder does not hold it. When several callers pull one reference at the same
// time, one pull runs and all get its result; it goes on as long as any of them waits, and is
// cancelled when the last one gives up. The same holds for one module under several references.
//
// The wire's client is go-containerregistry's transport: names, the choice of scheme, authentication,
// retries. Manifests and blobs are requested here, so that each body is bounded, checked against its digest
// as it streams, and given up when it stalls.
//
// Errors are one line each, meant for `kubectl describe pod`, and one of the Err values tells their class.
package registry
