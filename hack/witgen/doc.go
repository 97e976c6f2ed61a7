// Witgen writes the bindings of WASI: for the WIT of each line of versions a package of Go with the
// types, the interfaces that a host implements, a stub for each function, and a table of them. The
// WIT is that which the npm package of jco carries. What that lacks is in the folder extra.
//
//	go run ./hack/witgen            writes the packages below runtime/wasi
//	go run ./hack/witgen -check     compares what is there with what it would write
//	go run ./hack/witgen -npm DIR   takes the package of jco as it is unpacked in DIR
//
// With -wit it writes one package for the WIT files in a folder, as tests have them:
//
//	go run ./hack/witgen -wit hack/witgen/sample -to hack/witgen/sample \
//		-name sample -of "the sample" -method Sample
//
// A new release: version and integrity in fetch.go, as npm view tells them, and folders in main.go.
package main
