package httpserver

import (
	"bytes"
	"errors"
	"strconv"
)

// guard follows the framing of HTTP/1 messages, and refuses what two programs could read in two
// ways: what a proxy takes for a body must not be the next request here. It is stricter than
// net/http: lines end with CR LF, no line is folded, a head has one Content-Length or one
// Transfer-Encoding and not both. What it lets through, net/http frames in the same way; a fuzz
// target compares them.
type guard struct {
	plain bool // the connection may change to HTTP/2
	two   bool // it has
	most  int  // bytes of a line
	err   error
	state state
	some  bool // the state is not the first of the connection
	empty bool // an empty line came before a request

	partial []byte // a line whose end has not come
	left    int64  // bytes of the body or chunk that have not come
	head    int    // bytes of a head that has no end yet

	minor     byte // of HTTP/1
	length    int64
	hasLength bool
	chunked   bool
	hasCoding bool
}

type state uint8

const (
	requestLine state = iota
	header
	body
	chunkSize
	chunk
	chunkEnd
	trailer
	passing // HTTP/2, or what net/http refuses: nothing is looked at
)

// errFraming is the error of a request whose framing is not exact.
var errFraming = errors.New("reading a request: its framing is not exact")

const (
	// chunkLine bounds a line with the size of a chunk and its extensions.
	chunkLine = 512
	// chunkDigits bounds the digits of that size.
	chunkDigits = 15
	// lengthDigits bounds those of a Content-Length.
	lengthDigits = 18
)

var (
	nameLength    = []byte("content-length")
	nameCoding    = []byte("transfer-encoding")
	codingChunked = []byte("chunked")
)

// between reports whether the last byte of a message was seen, and none of the next.
func (g *guard) between() bool {
	return g.state == requestLine && len(g.partial) == 0 && !g.empty
}

// scan looks at the next bytes, and returns how many are good. If that is not all, or a bad byte
// was seen alone, err is set.
func (g *guard) scan(p []byte) (good int) {
	for at := 0; at < len(p); {
		switch g.state {
		case passing:
			return len(p)
		case body, chunk:
			n := min(g.left, int64(len(p)-at))
			g.left -= n
			at += int(n)
			good = at
			if g.left == 0 && g.state == body {
				g.next()
			} else if g.left == 0 {
				g.state = chunkEnd
			}
		default:
			of := g.state
			n := g.line(p[at:])
			if of <= header && g.err == nil {
				g.grow(n)
			}
			if g.err != nil {
				return good
			}
			at += n
			if len(g.partial) == 0 && g.state != header && g.state != trailer {
				good = at // a head is passed on as a whole if it came as a whole
			}
		}
	}
	return len(p)
}

// fieldSize is about what net/http holds for a field beside its bytes, a part of headCost.
const fieldSize = 48

// grow counts bytes of a head: of a line, or of a part of one.
func (g *guard) grow(n int) {
	switch {
	case g.state > header || g.between(): // the head has ended
		g.head = 0
	case len(g.partial) == 0:
		g.head += n + fieldSize
	default:
		g.head += n
	}
}

// line takes a line, or what is there of it, and returns its length.
func (g *guard) line(p []byte) int {
	most := g.most
	if g.state == chunkSize || g.state == chunkEnd {
		most = chunkLine
	}
	end := bytes.IndexByte(p, '\n') + 1
	if end == 0 {
		g.partial = append(g.partial, p...)
		if len(g.partial) > most {
			g.err = errFraming
		}
		return len(p)
	}
	line := p[:end]
	if len(g.partial) > 0 {
		g.partial = append(g.partial, line...)
		line = g.partial
	}
	if len(line) < 2 || line[len(line)-2] != '\r' || len(line) > most {
		g.err = errFraming
		return end
	}
	line = line[:len(line)-2]
	if bytes.IndexByte(line, '\r') >= 0 || bytes.IndexByte(line, 0) >= 0 || !g.take(line) {
		g.err = errFraming
	}
	g.partial = g.partial[:0]
	if cap(g.partial) > 4096 {
		g.partial = nil
	}
	return end
}

// take takes a line without its end, and reports whether it is good.
func (g *guard) take(line []byte) bool {
	switch g.state {
	case requestLine:
		return g.request(line)
	case header, trailer:
		return g.field(line)
	case chunkSize:
		return g.size(line)
	default: // chunkEnd
		g.state = chunkSize
		return len(line) == 0
	}
}

func (g *guard) request(line []byte) bool {
	const version = " HTTP/1.x"
	switch at := len(line) - len(version); {
	case len(line) == 0 && !g.empty:
		g.empty = true // a client may send one empty line before a request
		return true
	case at > 0 && string(line[at:len(line)-1]) == version[:len(version)-1] && line[len(line)-1] >= '0' && line[len(line)-1] <= '9':
		g.minor = line[len(line)-1] - '0'
	case string(line) == "PRI * HTTP/2.0" && g.plain && !g.some && !g.empty:
		g.state, g.two = passing, true
		return true
	default:
		return false
	}
	g.state, g.some, g.empty = header, true, false
	g.length, g.hasLength, g.chunked, g.hasCoding = 0, false, false, false
	return true
}

// field takes a line of a head, or of trailers.
func (g *guard) field(line []byte) bool {
	if len(line) == 0 {
		return g.headEnd()
	}
	colon := bytes.IndexByte(line, ':')
	if colon <= 0 || blank(line[0]) || blank(line[colon-1]) {
		return false
	}
	if g.state == trailer {
		return true
	}
	switch name := line[:colon]; {
	case bytes.EqualFold(name, nameLength):
		return g.contentLength(bytes.Trim(line[colon+1:], " \t"))
	case bytes.EqualFold(name, nameCoding):
		if g.hasCoding {
			return false
		}
		g.hasCoding = true
		g.chunked = bytes.EqualFold(bytes.Trim(line[colon+1:], " \t"), codingChunked)
	}
	return true
}

func blank(b byte) bool { return b == ' ' || b == '\t' }

func (g *guard) contentLength(value []byte) bool {
	if g.hasLength || len(value) == 0 || len(value) > lengthDigits || len(bytes.Trim(value, "0123456789")) > 0 {
		return false
	}
	g.hasLength = true
	g.length, _ = strconv.ParseInt(string(value), 10, 64) // they are digits, and not too many
	return true
}

func (g *guard) headEnd() bool {
	switch {
	case g.state == trailer:
		g.next()
	case g.hasCoding && (g.hasLength || g.minor == 0):
		return false
	case g.chunked:
		g.state = chunkSize
	case g.hasCoding:
		g.state = passing // net/http answers 501, and closes
	case g.length > 0:
		g.state, g.left = body, g.length
	default:
		g.next()
	}
	return true
}

func (g *guard) size(line []byte) bool {
	digits := 0
	for digits < len(line) && isHex(line[digits]) {
		digits++
	}
	if digits == 0 || digits > chunkDigits || digits < len(line) && line[digits] != ';' {
		return false
	}
	g.left, _ = strconv.ParseInt(string(line[:digits]), 16, 64) // they are digits, and not too many
	g.state = chunk
	if g.left == 0 {
		g.state = trailer
	}
	return true
}

func isHex(b byte) bool {
	return b >= '0' && b <= '9' || b >= 'a' && b <= 'f' || b >= 'A' && b <= 'F'
}

// next begins the next message.
func (g *guard) next() { g.state = requestLine }
