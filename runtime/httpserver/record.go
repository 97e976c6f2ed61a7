package httpserver

import (
	"fmt"
	"strings"
	"time"
)

// Record is what is known of a request after it. Requests that net/http or the guard refuse before
// their head is complete have none.
type Record struct {
	Method   string
	Path     string // as it was sent, without the query
	Protocol string // such as HTTP/1.1
	Client   string // host:port
	Status   int    // 0 if there was no answer
	// Received and Sent are bytes of bodies, before they are encoded for the connection.
	Received, Sent int64
	Duration       time.Duration
	// Aborted says that the answer could not be completed.
	Aborted bool
}

// Line is the record as a line of an access log, without its end. Clients of HTTP/2 may send a
// method with any character but line ends, and get 400.
func (r *Record) Line() string {
	note := ""
	if r.Aborted {
		note = " aborted"
	}
	return fmt.Sprintf("%s %s %s %s %d %d %s%s", r.Client, shown(r.Method), shown(r.Path), r.Protocol, r.Status, r.Sent,
		r.Duration.Round(time.Microsecond), note)
}

// maxShown is how many bytes of a text of a client a line has, before they are escaped.
const maxShown = 4 << 10

// shown is a text of a client as it can be in a line of a log: what is not printable is escaped as
// in a URL, and it has a bound.
func shown(text string) string {
	text = text[:min(len(text), maxShown)]
	if !strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return text
	}
	var b strings.Builder
	for _, c := range []byte(text) {
		if c <= ' ' || c > '~' {
			fmt.Fprintf(&b, "%%%02X", c)
			continue
		}
		b.WriteByte(c)
	}
	return b.String()
}
