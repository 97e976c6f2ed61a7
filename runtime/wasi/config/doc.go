// Package config has the values that a guest finds by wasi:config/store: its environment, and the
// files of folders of the host, as volumes of ConfigMaps and Secrets are. It knows no binding.
//
// # What is a key
//
// Each variable of the environment is one. Each regular file in a folder is one, by its name: not
// what is deeper in it, no name that begins with `..`, and no name that is not UTF-8. A link counts
// as what it leads to, if that is in the folder. A file wins over a variable, because it can
// change while the guest runs, and the variable is from its start. The first folder wins over the
// later ones.
//
// # When it is read
//
// Files are read by each call, so a change is seen by the next one. All reads a folder again if the
// link ..data was replaced meanwhile, by which volumes change all of their files at once.
//
// # Bounds
//
// A value has at most 1 MiB, which is also the most that a ConfigMap has. All returns at most 10000
// keys, with 8 MiB of names and values. A value is UTF-8. What a guest is told is an *Unfit if its
// value, or their number, is not so. Other errors are those of the system; they name no path of the
// host, and no value.
//
// A guest may write to a folder while it is read: what is no regular file of the folder is not
// opened, and nothing waits for another process. Calls block as reads of files do.
//
// A Store does not change: any goroutine may use it.
package config
