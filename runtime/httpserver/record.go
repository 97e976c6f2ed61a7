package httpserver

import "time"

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
}
