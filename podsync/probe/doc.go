// Package probe asks once whether a container is well: over HTTP, TCP or gRPC, as its probe says.
//
// It waits for the answer until the probe's timeout or the end of its context, and leaves nothing
// open. A probe that could not be carried out, such as one of a port that does not exist, is an
// error. Every other probe has a Result. Commands are not run here, since that needs an engine.
package probe
