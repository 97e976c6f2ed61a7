// Package logfile writes and reads the log file of one container, in the format that the Kubernetes
// container runtime interface (CRI) sets and that log shippers read.
//
// Each record is one line:
//
//	2026-01-02T15:04:05.000000001Z stdout F the text
//
// a time stamp (RFC 3339, nanoseconds), the stream, a tag and the text. Tag F ends a line of the guest's
// output, tag P says that the line goes on in the stream's next record. A line of more than 16 KiB is
// split into P records and one F record, at the same places however the guest split its writes.
//
// # Writing
//
// A Writer is safe for concurrent use. Records of the two streams never mix within a record, and stand
// in the order in which their lines were completed. A guest's write that completes at least one line costs
// one write to the file; text without its newline waits in memory, at most 16 KiB a stream, until the
// line goes on or Close ends it. Writes block for as long as the disk does.
//
// A failed write (disk full) leaves the file at a record boundary, and the caller with the number of its
// bytes that were taken; it may go on writing when there is room again.
//
// # Reading
//
// Read copies the text of a log to a writer, from its start or from its last lines, and follows it on
// request. It holds one file, one buffer and no lock, and needs nothing of the Writer: the two may live in
// different processes. What a reader meets and what it makes of it:
//
//   - a line that is no record is skipped: neither its stream nor its time is known;
//   - a last record without its newline is not shown until it is complete;
//   - records of the two streams may come between the parts of a long line: then the line is broken there,
//     so that text of one stream is never glued to text of the other; reading one stream only joins
//     the line whole;
//   - bytes are passed as they are, whatever they are.
package logfile
