package server

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics counts what a server does.
type metrics struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	refused  prometheus.Counter
	candles  prometheus.Counter
}

func newMetrics(s *Server) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "mqc_http_requests_total", Help: "Requests that were answered."}, []string{"route", "code"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "mqc_http_request_seconds", Help: "Time from the header of a request to the end of its answer.",
			Buckets: []float64{.005, .02, .1, .25, .5, 1, 2, 5, 10, 30, 60},
		}, []string{"route"}),
		refused: prometheus.NewCounter(prometheus.CounterOpts{Name: "mqc_refused_total", Help: "Requests that were refused because too many were computing."}),
		candles: prometheus.NewCounter(prometheus.CounterOpts{Name: "mqc_candles_drawn_total", Help: "Candles of paths that models have drawn."}),
	}
	computing := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "mqc_computing", Help: "Requests that compute."}, func() float64 { return float64(len(s.slots)) })
	m.registry.MustRegister(m.requests, m.seconds, m.refused, m.candles, computing,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// answered takes in a request. Its route is the pattern that it matched, so that
// clients cannot make new ones; status is 0 where the client left before the answer.
func (m *metrics) answered(route string, status int, took time.Duration) {
	if route == "" {
		route = "none"
	}
	m.requests.WithLabelValues(route, strconv.Itoa(status)).Inc()
	m.seconds.WithLabelValues(route).Observe(took.Seconds())
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Registry: m.registry})
}
