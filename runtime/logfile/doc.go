// Package logfile writes, rotates and reads the log of one container. The format is that of the
// Kubernetes container runtime interface (CRI), which log shippers read.
//
// Each record is one line:
//
//	2026-01-02T15:04:05.000000001Z stdout F the text
//
// a time stamp (RFC 3339, nanoseconds), the stream, a tag and the text. Tag F ends a line of the
// guest's output. Tag P means that the line continues in the stream's next record. A line of more
// than 16 KiB is split into P records and one F record. The positions of the splits do not depend
// on the sizes of the guest's writes.
//
// # Writing
//
// A Writer may be used from any goroutine. A record has text of one stream only. The records are in
// the order in which their lines were completed. A guest's write that completes at least one line
// costs one write to the file. Text without a newline waits in memory, at most 16 KiB for a stream,
// until the line continues or Close is called. Close writes it as a P record, so that a reader gets
// it without a newline, as the guest wrote it. Writes block while the disk does.
//
// A write that fails (disk full) leaves complete records in the file. The caller learns how many of
// its bytes were taken, and may continue when the disk has space again.
//
// # Rotation
//
// With a Rotation, a Writer begins a new file before PATH would become larger than MaxSize. It
// renames PATH to PATH.20060102-150405 (UTC; if there are several in one second, -000001 and so on
// follows), makes a new PATH, and removes the oldest files above MaxFiles. All of that happens in
// the guest's write that needs the space. So a log takes at most MaxFiles times MaxSize, no matter
// how fast the guest writes. Long lines are an exception: a file ends with a complete line, so a
// line of several records may make it larger by up to 1 MiB, but never by more than MaxSize. A
// longer line is cut. One record of 16 KiB may exceed a MaxSize below 82 KiB.
//
// Rotated files keep their names and are never written again. The sorted names are in the order of
// age, even if the clock was set back. Rotated files are not compressed, because shippers and
// readers continue in the file that they have open, and the size is already bounded.
//
// If a rotation fails (no inode, no permission), Rotation.Failed is called. Writing continues in
// the present file, and a second later the Writer tries again. If a Writer's process exits in the
// middle, PATH may be missing, or an empty PATH.new may be left: no text is lost, readers read the
// existing files, and the next Create continues.
//
// Files lists the files of a log, Remove removes them, and Of returns the log that a file belongs
// to.
//
// # Reading
//
// Read copies the text of a log to a writer, from its start or from its last lines, and follows it
// on request. It holds one buffer and no lock, and needs nothing from the Writer, so both may be in
// different processes. At its start it opens all files that it will show, and closes each one after
// it was shown, so that no rotation removes them before. After that, a follower has one file open
// at a time. It reads this file to its end, continues with the next one, and sees each line once.
// The next one may already be removed, because the guest writes faster than the follower's client
// reads. Then the follower continues with the oldest existing file. Removed files use disk space
// until their readers close them.
//
// A single follower shows a line when it is written. Many followers that share a Watcher each take
// the lines of up to a tenth of a second at once, so that the total cost is bounded.
//
// How a reader treats special cases:
//
//   - It skips a line that is no record, because its stream and its time are not known.
//   - It does not show a last record without a newline until it is complete.
//   - If records of the two streams come between the parts of a long line, the line is broken
//     there, so that texts of different streams are never joined. A reader of one stream sees the
//     complete line.
//   - It passes bytes on unchanged.
package logfile
