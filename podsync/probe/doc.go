// Package probe asks once whether a container is well: over HTTP, TCP or gRPC, as the container's
// probe says.
//
// It waits for the answer until the probe's timeout or the end of its context. It leaves nothing
// open. If a probe could not be carried out, for instance because its port does not exist, that is
// an error. Every other probe has a Result. This package runs no commands, because that needs an
// engine.
package probe
