// Package logfile writes, rotates and reads the log of one container, in the format that the Kubernetes
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
// line goes on or Close comes, which writes it as a P record: such a line is read as it was written, without a newline.
// Writes block for as long as the disk does.
//
// A failed write (disk full) leaves the file at a record boundary, and the caller with the number of its
// bytes that were taken; it may go on writing when there is room again.
//
// # Rotation
//
// With a Rotation, the file at PATH is renamed to PATH.20060102-150405 (UTC; -000001 and so on behind it for more in one
// second) before it would become larger than MaxSize, a new PATH is begun, and the oldest beyond MaxFiles are removed, all
// in the guest's write that needs the room: so however fast a guest writes, its log takes at most MaxFiles times MaxSize,
// but for long lines. A file ends with a whole line: one of several records makes it larger by up to 1 MiB (never more than
// MaxSize again), and is cut after that. A MaxSize below 82 KiB may be passed by one record of 16 KiB.
//
// Rotated files keep their names, which sort by age whatever the clock does, and are never written again. They are not
// compressed: shippers and readers go on in the file that they have open, and what it would save is bounded already.
//
// A rotation that fails (no inode, no permission) is told to Rotation.Failed; writing goes on in the file that is there, and a
// second later it is tried again. A Writer that dies in the middle may leave no PATH, or an empty PATH.new beside it: nothing
// is lost, readers read what there is, and the next Create goes on.
//
// Files lists what a log consists of, Remove removes it, Of names the log that a file belongs to.
//
// # Reading
//
// Read copies the text of a log to a writer, from its start or from its last lines, and follows it on
// request. It holds one buffer and no lock, and needs nothing of the Writer: the two may live in
// different processes. It opens all files that it will show when it starts, and closes each once it is shown, so
// that no rotation takes them away. A follower then has one file at a time: it stays in it to its end, goes on with the next
// one, and sees each line once. If that one is removed already, since the guest writes faster than the follower's client
// reads, it goes on with the oldest that there is. Files that are removed take room until who reads them is done.
//
// A follower that is alone shows a line when it is written. Many that share a Watcher each take the lines of up to a tenth
// of a second at once, so that what they cost together is bounded.
//
// What a reader meets and what it makes of it:
//
//   - a line that is no record is skipped: neither its stream nor its time is known;
//   - a last record without its newline is not shown until it is complete;
//   - records of the two streams may come between the parts of a long line: then the line is broken there,
//     so that text of one stream is never glued to text of the other; reading one stream only joins
//     the line whole;
//   - bytes are passed as they are, whatever they are.
package logfile
