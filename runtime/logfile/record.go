package logfile

import "bytes"

// Stream is a guest's output stream, by its name in the file.
type Stream string

// The streams of a container.
const (
	Stdout Stream = "stdout"
	Stderr Stream = "stderr"
)

// maxPart is the most text that one record holds, in bytes. Container runtimes split at the same
// length.
const maxPart = 16 << 10

// timeLayout is the layout of time stamps as written; any RFC 3339 stamp is read.
const timeLayout = "2006-01-02T15:04:05.000000000Z07:00"

// A stamp is at least `2006-01-02T15:04:05Z` and at most `2006-01-02T15:04:05.999999999+07:00`.
const (
	minStamp  = len("2006-01-02T15:04:05Z")
	maxStamp  = len("2006-01-02T15:04:05.999999999+07:00")
	maxHeader = maxStamp + len(" stdout ") + 32 // tags may grow: `P:x`
)

// The streams as indices, for state that is kept by stream.
const (
	stdout = iota
	stderr
	streams
)

// record is one line of the file. Its slices point into the reader's buffer.
type record struct {
	stamp   []byte
	stream  int
	partial bool // the line goes on in the stream's next record
	text    []byte
}

// parse takes a line of the file apart, without its newline. ok is false for a line that is no
// record. It checks the stamp's form, not its calendar: a caller that needs the time parses it.
func parse(line []byte) (record, bool) {
	var rec record
	stamp, rest, ok := bytes.Cut(line[:min(len(line), maxHeader)], []byte{' '})
	if !ok || !isStamp(stamp) {
		return rec, false
	}
	switch {
	case bytes.HasPrefix(rest, []byte("stdout ")):
		rec.stream = stdout
	case bytes.HasPrefix(rest, []byte("stderr ")):
		rec.stream = stderr
	default:
		return rec, false
	}
	tagAt := len(stamp) + len(" stdout ")
	// The tag ends at a space. A record without text may have lost it to an editor that trims
	// lines.
	tagLen := bytes.IndexByte(rest[len("stdout "):], ' ')
	if tagLen < 0 {
		if len(line) > maxHeader {
			return rec, false
		}
		tagLen = len(line) - tagAt
	}
	tag := line[tagAt : tagAt+tagLen]
	// Tags are a list divided by colons, of which the first says partial or full.
	first, _, _ := bytes.Cut(tag, []byte{':'})
	switch string(first) {
	case "P":
		rec.partial = true
	case "F":
	default:
		return rec, false
	}
	rec.stamp = stamp
	rec.text = line[min(len(line), tagAt+tagLen+1):]
	return rec, true
}

// isStamp reports whether b has the form of an RFC 3339 time.
func isStamp(b []byte) bool {
	if len(b) < minStamp || len(b) > maxStamp {
		return false
	}
	const form = "dddd-dd-ddTdd:dd:dd"
	for i := range len(form) {
		if form[i] == 'd' {
			if b[i] < '0' || b[i] > '9' {
				return false
			}
		} else if b[i] != form[i] {
			return false
		}
	}
	zone := b[len(form):]
	if zone[0] == '.' {
		i := 1
		for i < len(zone) && zone[i] >= '0' && zone[i] <= '9' {
			i++
		}
		if i == 1 {
			return false
		}
		zone = zone[i:]
	}
	switch {
	case len(zone) == 1:
		return zone[0] == 'Z'
	case len(zone) == len("+07:00"):
		return (zone[0] == '+' || zone[0] == '-') && zone[3] == ':'
	}
	return false
}
