//go:build wasip1

// Command experimental sends the HTTP request that its arguments say, by the functions that
// Krustlet had: METHOD URL [BODY]. It prints the status, the content-type and the body. If a
// function fails, it prints the function and the number of the error, and exits with 1.
package main

import (
	"fmt"
	"os"
	"unsafe"
)

//go:wasmimport wasi_experimental_http req
func req(url unsafe.Pointer, urlLen uint32, method unsafe.Pointer, methodLen uint32, headers unsafe.Pointer, headersLen uint32,
	body unsafe.Pointer, bodyLen uint32, status, handle unsafe.Pointer) uint32

//go:wasmimport wasi_experimental_http close
func closeResponse(handle uint32) uint32

//go:wasmimport wasi_experimental_http header_get
func headerGet(handle uint32, name unsafe.Pointer, nameLen uint32, value unsafe.Pointer, valueLen uint32, written unsafe.Pointer) uint32

//go:wasmimport wasi_experimental_http body_read
func bodyRead(handle uint32, buf unsafe.Pointer, bufLen uint32, read unsafe.Pointer) uint32

func main() {
	args := append(os.Args[1:], "", "")
	body := args[2]
	var status uint16
	var handle uint32
	headers := "x-guest:go\n"
	method, url := args[0], args[1]
	check("req", req(text(url), uint32(len(url)), text(method), uint32(len(method)), text(headers), uint32(len(headers)),
		text(body), uint32(len(body)), unsafe.Pointer(&status), unsafe.Pointer(&handle)))
	fmt.Println(status)
	var value [256]byte
	var n uint32
	name := "Content-Type"
	check("header_get", headerGet(handle, text(name), uint32(len(name)), unsafe.Pointer(&value), uint32(len(value)), unsafe.Pointer(&n)))
	fmt.Println(string(value[:n]))
	var piece [4096]byte
	for {
		check("body_read", bodyRead(handle, unsafe.Pointer(&piece), uint32(len(piece)), unsafe.Pointer(&n)))
		if n == 0 {
			break
		}
		_, _ = os.Stdout.Write(piece[:n])
	}
	check("close", closeResponse(handle))
}

func text(s string) unsafe.Pointer { return unsafe.Pointer(unsafe.StringData(s)) }

func check(function string, number uint32) {
	if number != 0 {
		fmt.Println(function, number)
		os.Exit(1)
	}
}
