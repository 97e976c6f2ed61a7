// Package http has what the HTTP messages of WASI 0.2 and 0.3 share: fields with their rules, the
// rules for the parts of requests, and the bounds of both. It knows no binding: what a guest calls
// is in packages p2 and p3.
//
// One Room counts what one guest has. Nothing here may be used from two goroutines at once, and
// nothing blocks.
package http
