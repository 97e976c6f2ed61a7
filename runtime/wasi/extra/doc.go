// Package extra connects guests to what the host has of WASI's proposals: wasi:config/store and
// wasi:logging/logging. It implements the interfaces of package bindings for one guest, of any
// version of WASI.
//
// # Calling
//
// New makes a Host of a wasi.Guest, which the hosts of WASI 0.2 and 0.3 may use, too. Only one call
// of all of them runs at a time. A Host has nothing to close.
//
// A function returns an error of its interface, or one that ends the guest: wasi.ErrKilled.
//
// # Logging
//
// A message is one line of standard error: LEVEL context: message. A line break in it is \n, and
// other control characters are escaped, too, so that no message looks like two. A line has at most
// 32 KiB. It says how many bytes were left out.
//
// # Blocking
//
// A log lasts as long as the writer and the guest's rate of output require. A value of
// wasi:config/store lasts as long as its files are read. Nothing else of the component runs
// meanwhile.
package extra
