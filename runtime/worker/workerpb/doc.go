// Package workerpb is the protocol of package worker, generated from worker.proto.
package workerpb

//go:generate ./generate.sh
