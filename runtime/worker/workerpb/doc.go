// Package workerpb is the protocol between agent and workers, generated from worker.proto.
package workerpb

//go:generate ./generate.sh
