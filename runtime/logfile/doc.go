// Package logfile writes, rotates and reads the log of one container, in the format that the
// Kubernetes container runtime interface (CRI) sets and that log shippers read.
//
// Each record is one line:
//
//	2026-01-02T15:04:05.000000001Z stdout F the text
//
// a time stamp (RFC 3339, nanoseconds), the stream, a tag and the text. Tag F ends a line of the
// guest's output, tag P says that the line goes on in the stream's next record. A line of more than
// 16 KiB is split into P records and one F record, at the same places however the guest split its
// writes.
//
// # Writing
//
// A Writer may be used from any goroutine. Records of the two streams never mix within a record,
// and are in the order in which their lines were completed. A guest's write that completes at least
// one line costs one write to the file. Text without its newline waits in memory, at most 16 KiB of
// a stream, until the line goes on or Close is called. Close writes it as a P record: such a line
// is read as it was written, without a newline. Writes block for as long as the disk does.
//
// A write that fails (disk full) leaves the file at a record boundary. The caller learns how many
// of its bytes were taken, and may go on writing when the disk has space again.
//
// # Rotation
//
// With a Rotation, a Writer begins a new file before PATH would become larger than MaxSize. It
// renames PATH to PATH.20060102-150405 (UTC; with -000001 and so on behind it for more in one
// second), makes a new PATH, and removes the oldest files beyond MaxFiles. All of that happens in
// the guest's write that needs the space. So a log takes at most MaxFiles times MaxSize however
// fast the guest writes, but for long lines. A file ends with a complete line: a line of several
// records makes it larger by up to 1 MiB (never more than MaxSize again), and is cut after that.
// One record of 16 KiB may pass a MaxSize below 82 KiB.
//
// Rotated files keep their names and are never written again. The names sort by age even if the
// clock is set back. They are not compressed: shippers and readers go on in the file that they have
// open, and the size is bounded already.
//
// A rotation that fails (no inode, no permission) is reported to Rotation.Failed. Writing goes on
// in the file that is there, and a second later the Writer tries again. A Writer whose process
// exits in the middle may leave no PATH, or an empty PATH.new beside it: nothing is lost, readers
// read what there is, and the next Create goes on.
//
// Files lists the files of a log, Remove removes them, Of names the log that a file belongs to.
//
// # Reading
//
// Read copies the text of a log to a writer, from its start or from its last lines, and follows it
// on request. It holds one buffer and no lock, and needs nothing of the Writer: the two may live in
// different processes. It opens all files that it will show when it starts, and closes each once it
// is shown, so that no rotation removes them before. Then a follower has one file at a time: it
// stays in it to its end, goes on with the next one, and sees each line once. If the next one is
// removed already, because the guest writes faster than the follower's client reads, it goes on
// with the oldest that there is. Files that are removed use disk space until their readers close
// them.
//
// A single follower shows a line when it is written. Many that share a Watcher each take the lines
// of up to a tenth of a second at once, so that their cost together is bounded.
//
// What a reader makes of what it meets:
//
//   - a line that is no record is skipped: neither its stream nor its time is known;
//   - a last record without its newline is not shown until it is complete;
//   - records of the two streams may come between the parts of a long line: then the line is broken
//     there, so that text of one stream is never joined to text of the other; reading one stream
//     only joins the complete line;
//   - bytes are passed on unchanged.
package logfile
