// The program prints the version of the linked engine: see link_test.go.
package main

import (
	"fmt"

	"github.com/krustlet-go/krustlet-wasi/runtime/wasmtime"
)

func main() { fmt.Println(wasmtime.Version) }
