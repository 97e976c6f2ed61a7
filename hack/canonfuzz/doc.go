// Canonfuzz compares package canon with the reference of the Canonical ABI that the specification
// has, in Python: random types, values, encodings and allocators, hostile ones too, give the same
// core values, memory, handles, calls of realloc and traps.
//
//	git clone https://github.com/WebAssembly/component-model /tmp/component-model
//	go run ./hack/canonfuzz -reference /tmp/component-model/design/mvp/canonical-abi -cases 20000
//
// It needs python3. A case that differs is printed with its seed, which -seed repeats.
package main
