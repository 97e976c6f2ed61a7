// Package spans keeps the requests that HTTP handlers have answered until an agent takes them. An
// engine that has HTTP handlers has one [Recorder], and is a [runtime.HTTPTracer] by it.
//
// Nothing is kept while no agent takes requests: then Begin costs a few nanoseconds. At most 1,024
// requests are kept. More than these are dropped and counted. An agent gets requests at most five
// times a second. No method except Spans blocks. All may be called by several goroutines.
//
// The texts of a request come from a client. The Recorder shortens its method and its path.
package spans
