// Package codecache keeps the compiled code of modules on disk, one file for each module.
//
// # What a file is
//
// A file has the engine's code, which is an ELF file and contains its own length; the host's other
// data about the module (info); and a footer with a SHA-256. The sum covers the code, the info, the
// module's digest and the key from the caller. The key contains the version and the settings of the
// engine, and the processor. The engine trusts code that it loads like its own code. So Open
// returns a file only if it is exactly what was written for this module and key, and if no other
// user can write it.
//
// Other processes map these files and run their code. So a file gets its name only when it is
// complete (Create, Write, Check, Keep). After that it is never changed or shortened, only removed.
// Processes that have it mapped can still use it after that.
//
// # Which files stay
//
// Collect removes the least recently used files until the rest fits the bound, but no file that the
// caller reports as in use. RemoveStale removes the folders of other keys an hour after their last
// use. A read-only cache changes nothing on disk, not even the time of the last use.
//
// # Who calls it
//
// A Cache may be used from any goroutine, and several processes may have caches in one folder. All
// methods may block while the disk reads or writes.
package codecache
