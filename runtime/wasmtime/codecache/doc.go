// Package codecache keeps the compiled code of modules on disk, one file for each module.
//
// # What a file is
//
// A file has the engine's code, which is an ELF file and says by itself where it ends; what the
// host knows of the module besides (info); and a footer with a SHA-256. The sum covers the code,
// the info, the module's digest and the key that the caller gives: the version and the settings of
// the engine, and the processor. The engine trusts what it loads as it trusts its own code. So Open
// only returns a file that is wholly what was written for this module and key, and that no other
// user can write.
//
// Other processes map these files and run what is in them. So a file gets its name only when it is
// complete (Create, Write, Check, Keep). It is never changed or cut after that, only removed, and
// lives on for processes that have it mapped.
//
// # Which files stay
//
// Collect removes the files that were used the longest ago until the rest fits the bound, but none
// that the caller says is in use. RemoveStale removes the folders of other keys an hour after their
// last use. A cache that is read-only changes nothing on disk, the time of the last use included.
//
// # Who calls it
//
// A Cache may be used from any goroutine, and several processes may have caches in one folder.
// Everything here reads or writes the disk, and may block for as long as that takes.
package codecache
