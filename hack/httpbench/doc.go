// Command httpbench measures how many requests a second a handler answers, beside what else can
// answer them on the same machine: Go's net/http in a process of its own, which says what a server
// without a guest can do, and `wasmtime serve`.
//
//	go build -o bin/ ./cmd/krustlet-wasi
//	WASMTIME=/usr/bin/wasmtime go run ./hack/httpbench -agent bin/krustlet-wasi hello.wasm...
//
// It starts one server at a time, on 127.0.0.1, and wrk (from WRK, or found in PATH) with one
// thread in a process beside it. Without wrk it sends the requests itself: then figures are lower,
// as the client takes more of the processor. Each handler is measured with instances as the servers
// have them by default, and with -reuse N besides with instances that answer up to N requests. For
// krustlet-wasi the variable AGENT_REUSE names the flag for that.
//
// The table has requests a second; in brackets how many times as many as net/http; latencies; and
// the most memory that the server had. A server that gives an answer that is not 200 has no
// figures. wasmtime keeps compiled code in its cache, which is in the home directory.
package main
