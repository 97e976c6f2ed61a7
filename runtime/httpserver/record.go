package httpserver

import (
	"encoding/hex"
	"time"
)

// Record is what is known of a request after it. Requests that net/http or the guard refuse before
// their head is complete have none.
type Record struct {
	Method    string
	Path      string // as it was sent, without the query
	Host      string
	Protocol  string // such as HTTP/1.1
	Client    string // host:port
	UserAgent string
	TLS       bool
	Status    int // 0 if there was no answer
	// Received and Sent are bytes of bodies, before they are encoded for the connection.
	Received, Sent int64
	Start          time.Time
	Duration       time.Duration
	// Aborted says that the answer could not be completed.
	Aborted bool
	// Parent is the caller's span.
	Parent Parent
}

// Parent is the content of a traceparent field.
type Parent struct {
	Valid bool // there was one, and it is valid; if not, the rest is zero
	Trace [16]byte
	Span  [8]byte
	Flags byte
}

// parseParent reads the values of traceparent fields: version, trace, span and flags. A version
// after 00 may have more after that.
func parseParent(values []string) (p Parent) {
	const length = len("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	if len(values) != 1 {
		return Parent{}
	}
	text := values[0]
	if len(text) < length || text[2] != '-' || text[35] != '-' || text[52] != '-' || text[:2] == "ff" ||
		len(text) > length && (text[:2] == "00" || text[length] != '-') {
		return Parent{}
	}
	var version, flags [1]byte
	if !lowerHex(version[:], text[:2]) || !lowerHex(p.Trace[:], text[3:35]) || !lowerHex(p.Span[:], text[36:52]) ||
		!lowerHex(flags[:], text[53:length]) || p.Trace == [16]byte{} || p.Span == [8]byte{} {
		return Parent{}
	}
	p.Flags, p.Valid = flags[0], true
	return p
}

// lowerHex decodes digits, of which none is a capital.
func lowerHex(to []byte, text string) bool {
	for i := range len(text) {
		if text[i] >= 'A' && text[i] <= 'F' {
			return false
		}
	}
	_, err := hex.Decode(to, []byte(text))
	return err == nil
}
