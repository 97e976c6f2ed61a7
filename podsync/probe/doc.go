// Package probe asks once whether a container is well: over HTTP, TCP or gRPC, as its probe says.
//
// It waits for the answer until the probe's time-out or the end of its context, and leaves nothing behind. A probe that could not be done at all (a port that does not exist) is an error; one that was done has a Result. Commands are
// not run here, since that takes an engine.
package probe
