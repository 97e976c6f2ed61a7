package runtime

import (
	"cmp"
	"time"
)

// HTTP says how a guest that is an HTTP handler is served. Other guests do not look at it. A number
// or duration of 0 means the default below.
type HTTP struct {
	// Listen are TCP addresses, host:port, at which the guest is served. All of them must be free.
	Listen []string
	// ListenTLS are the same, for TLS with the certificate of Certificate.
	ListenTLS []string
	// Certificate is the absolute path of a folder of the host with the files tls.crt and tls.key.
	// When they change, new connections get the new certificate.
	Certificate string

	// Instances is how many instances of the component there are at a time.
	Instances int
	// Requests is how many requests an instance of WASI 0.3 answers at a time. One of WASI 0.2
	// answers one.
	Requests int
	// Reuse is after how many requests an instance is replaced by another one.
	Reuse int
	// Queue is how many requests wait for an instance, each for QueueTimeout. Those beyond get 503.
	Queue        int
	QueueTimeout time.Duration

	HeaderTimeout    time.Duration // until the request's header is there
	IdleTimeout      time.Duration // until the next request of a connection
	FirstByteTimeout time.Duration // until the guest answers
	Timeout          time.Duration // until the guest's answer is complete
	// StallTimeout is how long a client may send nothing of a body that the guest wants, or take
	// nothing of one that the guest sends.
	StallTimeout time.Duration
	MaxHeader    int64 // bytes of a request's header
	MaxBody      int64 // bytes of a request's body; negative means no bound
	Connections  int   // at a time

	// AccessLog has a line for each request written to the guest's log.
	AccessLog bool
	// MarkLines has each line of the guest's output begin with the number of its instance.
	MarkLines bool
}

// Defaults of HTTP.
const (
	DefaultHTTPInstances        = 64
	DefaultHTTPRequests         = 16
	DefaultHTTPReuse2           = 1    // of WASI 0.2
	DefaultHTTPReuse3           = 1000 // of WASI 0.3
	DefaultHTTPQueue            = 1024
	DefaultHTTPQueueTimeout     = 10 * time.Second
	DefaultHTTPHeaderTimeout    = 10 * time.Second
	DefaultHTTPIdleTimeout      = 2 * time.Minute
	DefaultHTTPFirstByteTimeout = time.Minute
	DefaultHTTPTimeout          = 10 * time.Minute
	DefaultHTTPStallTimeout     = time.Minute
	DefaultHTTPMaxHeader        = 64 << 10
	DefaultHTTPMaxBody          = -1
	DefaultHTTPConnections      = 4096
)

// WithDefaults returns the settings with the defaults for what is 0, but for Requests and Reuse,
// whose defaults depend on the component.
func (h HTTP) WithDefaults() HTTP {
	h.Instances = cmp.Or(h.Instances, DefaultHTTPInstances)
	h.Queue = cmp.Or(h.Queue, DefaultHTTPQueue)
	h.QueueTimeout = cmp.Or(h.QueueTimeout, DefaultHTTPQueueTimeout)
	h.HeaderTimeout = cmp.Or(h.HeaderTimeout, DefaultHTTPHeaderTimeout)
	h.IdleTimeout = cmp.Or(h.IdleTimeout, DefaultHTTPIdleTimeout)
	h.FirstByteTimeout = cmp.Or(h.FirstByteTimeout, DefaultHTTPFirstByteTimeout)
	h.Timeout = cmp.Or(h.Timeout, DefaultHTTPTimeout)
	h.StallTimeout = cmp.Or(h.StallTimeout, DefaultHTTPStallTimeout)
	h.MaxHeader = cmp.Or(h.MaxHeader, DefaultHTTPMaxHeader)
	h.MaxBody = cmp.Or(h.MaxBody, DefaultHTTPMaxBody)
	h.Connections = cmp.Or(h.Connections, DefaultHTTPConnections)
	return h
}

// HTTPStats are what a guest that is an HTTP handler has done since its start. Once returned, it is
// never changed.
type HTTPStats struct {
	Answers   map[int]uint64 // by status code
	Aborted   uint64         // requests whose answer could not be completed
	Durations [len(HTTPBuckets) + 1]uint64
	Seconds   float64 // sum of all durations
	Received  int64   // bytes of bodies
	Sent      int64
	Open      int64 // connections
	Active    int64 // requests under way, those that wait for an instance included
	Queued    int64 // requests that wait for an instance
	Instances int64
	Cold      uint64 // requests for which an instance had to be made
	Warm      uint64 // requests that found one
	Traps     uint64 // instances that ended by a trap or an error of the guest
	Memory    uint64 // instances that ended at the memory limit
	Timeouts  uint64 // instances that ended at a time-out
}

// HTTPBuckets are the upper bounds of HTTPStats.Durations, in seconds; the last count has the rest.
var HTTPBuckets = [...]float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}
