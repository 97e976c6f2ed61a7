package scrape

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.uber.org/zap"
)

// scrapes limits how many scrapes of a page are answered at the same time.
const scrapes = 4

// Handler serves the metrics of a gatherer. If a metric cannot be gathered, the error is logged and
// the others are served.
func Handler(gather prometheus.Gatherer, log *zap.Logger) http.HandlerFunc {
	return promhttp.HandlerFor(gather, promhttp.HandlerOpts{
		ErrorLog:            metricsLog{log},
		ErrorHandling:       promhttp.ContinueOnError,
		MaxRequestsInFlight: scrapes,
	}).ServeHTTP
}

// metricsLog is a logger as promhttp wants it.
type metricsLog struct{ log *zap.Logger }

// Println implements promhttp.Logger.
func (l metricsLog) Println(v ...any) { l.log.Sugar().Warnln(v...) }
