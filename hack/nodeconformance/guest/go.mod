module github.com/krustlet-go/krustlet-wasi/hack/nodeconformance/guest

go 1.26.0

require (
	github.com/u-root/u-root v0.15.1-0.20251208185023-2f8c7e763cf8
	mvdan.cc/sh/v3 v3.14.1
)

require (
	golang.org/x/sys v0.49.0 // indirect
	golang.org/x/term v0.47.0 // indirect
)

require (
	github.com/krustlet-go/krustlet-wasi v0.0.0
	golang.org/x/net v0.49.0
)

replace github.com/krustlet-go/krustlet-wasi => ../../..
