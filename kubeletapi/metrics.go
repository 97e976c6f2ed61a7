package kubeletapi

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.uber.org/zap"
)

// scrapes bounds the scrapes of a page that are answered at the same time.
const scrapes = 4

// metrics is the page of a gatherer. A metric that cannot be had is logged, and the others are served.
func (s *Server) metrics(gather prometheus.Gatherer) http.HandlerFunc {
	return promhttp.HandlerFor(gather, promhttp.HandlerOpts{
		ErrorLog:            metricsLog{s.config.Log},
		ErrorHandling:       promhttp.ContinueOnError,
		MaxRequestsInFlight: scrapes,
	}).ServeHTTP
}

// metricsLog is a logger as promhttp wants it.
type metricsLog struct{ log *zap.Logger }

// Println implements promhttp.Logger.
func (l metricsLog) Println(v ...any) { l.log.Sugar().Warnln(v...) }
