// Package client sends the HTTP requests of guests, over net/http. It knows no version of WASI:
// package http, beside it, brings bodies to guests, and the bindings bring the rest.
//
// # A Client
//
// There is one Client for each run: the instances of a handler share it. It keeps connections, and
// uses them again for the same host, port and scheme: HTTP/1.1, or HTTP/2 if the server of HTTPS
// speaks it. It follows no redirect, keeps no cookies, decompresses nothing, knows no proxy, and
// adds no field but those that frame the message.
//
// Every decision about a connection is asked of the guest's wasi.Network: first about the name, and
// after the lookup about each address. A connection that is not allowed any more is cut, also one
// that is kept.
//
// # Goroutines
//
// Do waits for the head of the response, and Read of a body for bytes. The end of the context ends
// both at once, and so does Close, which waits for all of them. Traffic may be called at any time.
//
// # Bounds
//
//	requests under way    Config.MaxRequests for the run, and a share of Config.Stock
//	connections           as many as requests, and 16 that are kept; each takes a file of Config.Files
//	the head, trailers    MaxHeader bytes, and as much again for informational responses
//	HTTP/2                frames of 16 KiB, 128 KiB of a body, 1 MiB of a connection that nothing reads
//	addresses of a name   8 are tried
//	times                 as the request says, or the defaults
//
// RequestMemory of each request and ConnectionMemory of each connection count for Config.Memory.
package client
