// The program tells the version of the engine that is linked: see link_test.go.
package main

import (
	"fmt"

	"github.com/krustlet-go/krustlet-wasi/runtime/wasmtime"
)

func main() { fmt.Println(wasmtime.Version) }
