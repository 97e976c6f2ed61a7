package kubeletapi

import "github.com/prometheus/client_golang/prometheus"

// Connections collects the figures of the API's connections for Prometheus.
type Connections struct{ server *Server }

// Connections returns a prometheus.Collector of the server's connections.
func (s *Server) Connections() Connections { return Connections{s} }

var (
	connectionsDesc = prometheus.NewDesc("krustlet_api_connections",
		"Connections to the API's port, by what is known of the client.", []string{"state"}, nil)
	endedDesc = prometheus.NewDesc("krustlet_api_connections_ended_total",
		"Connections to the API's port that were refused or had to give way, by the state that they were in, or wanted.", []string{"state", "reason"}, nil)
	refusedDesc = prometheus.NewDesc("krustlet_api_reviews_refused_total",
		"Requests that were refused because the API server had been asked too often about their token, or the user's access.", []string{"kind"}, nil)
	readersDesc = prometheus.NewDesc("krustlet_api_log_readers", "Logs that are being read.", nil, nil)
	forwardDesc = prometheus.NewDesc("krustlet_api_forwarded_connections", "Connections of port-forward to pods.", nil, nil)
)

// Describe implements prometheus.Collector.
func (c Connections) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{connectionsDesc, endedDesc, refusedDesc, readersDesc, forwardDesc} {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (c Connections) Collect(to chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, n int, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(n), labels...)
	}
	count := func(d *prometheus.Desc, n int, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), labels...)
	}
	count(refusedDesc, int(c.server.refusedTokens.Load()), "token")
	count(refusedDesc, int(c.server.refusedAccess.Load()), "access")
	gauge(readersDesc, len(c.server.readers))
	gauge(forwardDesc, len(c.server.forwards))
	d := c.server.entrance.Load()
	if d == nil {
		return
	}
	now, ended := d.Counts()
	for state, n := range now {
		gauge(connectionsDesc, n, string(state))
	}
	for kind, n := range ended {
		count(endedDesc, n, string(kind.State), string(kind.Reason))
	}
}
