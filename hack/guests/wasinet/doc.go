// Package wasinet gives programs of Go's GOOS=wasip1 connections, for tests. Go's own net has none
// there: preview 1 cannot make sockets. The package calls the functions that WasmEdge has added.
//
//	transport := &http.Transport{DialContext: wasinet.DialContext}
//
// While a name is looked up, nothing else of the program runs.
package wasinet
