package kubeletapi

import (
	"net/http"
	"time"
)

// limits are how much of the server clients may use, and for how long.
type limits struct {
	// header bounds the time of the TLS handshake, and the time to read a request's header. There
	// is no bound for a whole request, because a client may follow a log for days.
	header time.Duration
	// body bounds the reading of a request's body.
	body time.Duration
	// strange is how long a connection may stay open after its handshake without a request that
	// says who the client is. In that time the client sends a header, and the cluster answers.
	strange time.Duration
	// idle is how long a connection may stay open between requests.
	idle time.Duration
	// stall is how long a client may leave a log unread before it is cut off. Rotated files that a
	// reader has not shown yet take space on the disk. The stock kubelet lets streams be idle for
	// the same time, so that users can read in a pager.
	stall time.Duration
	// pingAfter and pingTimeout find HTTP/2 clients that vanished without closing their connection.
	// For HTTP/1.1 the keep-alive of TCP does that.
	pingAfter, pingTimeout time.Duration
	// finish is how long requests may go on when the server shuts down. end is how long they may
	// take to end after that.
	finish, end time.Duration
}

var defaultLimits = limits{
	header:    15 * time.Second,
	body:      15 * time.Second,
	strange:   30 * time.Second,
	idle:      2 * time.Minute,
	stall:     4 * time.Hour,
	pingAfter: 30 * time.Second, pingTimeout: 15 * time.Second,
	finish: 5 * time.Second,
	end:    5 * time.Second,
}

const (
	// maxHeader is enough for a client's token and a few options, in bytes.
	maxHeader = 64 << 10
	// maxBody is more than the body of any request has, in bytes.
	maxBody = 64 << 10
	// maxStreams limits the requests of one HTTP/2 connection. The handler of a request that the
	// client has reset counts while it runs. So a client that opens and resets requests without end
	// gets no more.
	maxStreams = 250
)

// limited bounds a request's body, in size and time. The bytes after a change of protocols are not
// a body.
func limited(within time.Duration, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength != 0 && r.Header.Get("Upgrade") == "" {
			// This never fails on a connection that net/http serves.
			_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(within))
			r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		}
		next.ServeHTTP(w, r)
	})
}
