module github.com/krustlet-go/krustlet-wasi/hack/nodeconformance/guest

go 1.26.0

require (
	github.com/u-root/u-root v0.15.1-0.20251208185023-2f8c7e763cf8
	google.golang.org/grpc v1.79.3
	mvdan.cc/sh/v3 v3.14.1
)

require (
	golang.org/x/net v0.48.0 // indirect
	golang.org/x/sys v0.47.0 // indirect
	golang.org/x/term v0.45.0 // indirect
	golang.org/x/text v0.32.0 // indirect
	google.golang.org/genproto/googleapis/rpc v0.0.0-20251202230838-ff82c1b0f217 // indirect
	google.golang.org/protobuf v1.36.10 // indirect
)
