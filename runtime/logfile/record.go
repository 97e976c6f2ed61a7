package logfile

import "bytes"

// Stream is a guest's output stream, by its name in the file.
type Stream string

// The streams of a container.
const (
	Stdout Stream = "stdout"
	Stderr Stream = "stderr"
)

// maxPart is the most text in one record, in bytes. Container runtimes split lines at the same
// length.
const maxPart = 16 << 10

// timeLayout is the layout of written time stamps. A reader accepts all RFC 3339 stamps.
const timeLayout = "2006-01-02T15:04:05.000000000Z07:00"

// A stamp has at least the length of `2006-01-02T15:04:05Z` and at most that of
// `2006-01-02T15:04:05.999999999+07:00`.
const (
	minStamp  = len("2006-01-02T15:04:05Z")
	maxStamp  = len("2006-01-02T15:04:05.999999999+07:00")
	maxHeader = maxStamp + len(" stdout ") + 32 // longer tags are possible: `P:x`
)

// Indices of the streams, for state that is kept for each stream.
const (
	stdout = iota
	stderr
	streams
)

// record is one line of the file. Its slices point into the reader's buffer.
type record struct {
	stamp   []byte
	stream  int
	partial bool // the line continues in the stream's next record
	text    []byte
}

// parse splits a line of the file, given without its newline, into its fields. ok is false if the
// line is no record. parse checks only the form of the stamp. A caller that needs the time must
// parse the stamp.
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
	// The tag ends at a space. A record without text may lack this space if an editor has trimmed
	// the lines.
	tagLen := bytes.IndexByte(rest[len("stdout "):], ' ')
	if tagLen < 0 {
		if len(line) > maxHeader {
			return rec, false
		}
		tagLen = len(line) - tagAt
	}
	tag := line[tagAt : tagAt+tagLen]
	// A tag may be a list with colons. Its first element says partial or full.
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
