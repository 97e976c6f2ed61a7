// Command h2spec tests how a server speaks HTTP/2, with the tests of the project h2spec, and
// compares the result with Go's net/http, on which the node's server is built.
//
//	cd hack/h2spec
//	go run . -agent ../../bin/krustlet-wasi handler.wasm    # starts `krustlet-wasi run --listen`
//	go run . -address 127.0.0.1:8080                        # a server that runs
//	go run . -address 127.0.0.1:8443 -tls                   # the same with TLS, such as a pod
//
// Each test has connections of its own. It asks for /hello, or for what -path says, which must have
// a body. Without TLS the tests begin with HTTP/2 at once (prior knowledge).
//
// h2spec's own report goes to standard error, the comparison to standard output: each test that
// one of the servers fails. The exit code is 1 if the server fails a test that net/http passes.
//
// It is a separate module, so that krustlet-wasi does not have its requirements.
package main
