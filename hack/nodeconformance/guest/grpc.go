package main

import (
	"crypto/tls"
	"flag"
	"fmt"
	"net/http"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
)

// grpcHealth serves gRPC's health service, and HTTP to say what it is to answer.
func grpcHealth(flags *flag.FlagSet) func() int {
	port := flags.Int("port", 5000, "port")
	httpPort := flags.Int("http-port", 8080, "port of /make-serving and /make-not-serving")
	service := flags.String("service", "", "name")
	delay := flags.Int("delay-unhealthy-sec", -1, "seconds of health; negative is for ever")
	cert := flags.String("tls-cert-file", "", "path")
	key := flags.String("tls-private-key-file", "", "path")
	return func() int {
		var options []grpc.ServerOption
		if *cert != "" {
			pair, err := tls.LoadX509KeyPair(*cert, *key)
			if err != nil {
				fmt.Fprintln(os.Stderr, "agnhost:", err)
				return 1
			}
			options = append(options, grpc.Creds(credentials.NewServerTLSFromCert(&pair)))
		}
		l, err := listener(*port)
		if err != nil {
			fmt.Fprintln(os.Stderr, "agnhost:", err)
			return 1
		}
		answers := health.NewServer()
		answers.SetServingStatus(*service, grpc_health_v1.HealthCheckResponse_SERVING)
		if *delay >= 0 {
			time.AfterFunc(time.Duration(*delay)*time.Second, func() {
				answers.SetServingStatus(*service, grpc_health_v1.HealthCheckResponse_NOT_SERVING)
			})
		}
		go serve(*httpPort, grpcSwitches(*service, answers))
		server := grpc.NewServer(options...)
		grpc_health_v1.RegisterHealthServer(server, answers)
		if err := server.Serve(l); err != nil {
			fmt.Fprintln(os.Stderr, "agnhost:", err)
		}
		return 0
	}
}

func grpcSwitches(service string, answers *health.Server) http.Handler {
	mux := http.NewServeMux()
	for path, status := range map[string]grpc_health_v1.HealthCheckResponse_ServingStatus{
		"/make-serving":     grpc_health_v1.HealthCheckResponse_SERVING,
		"/make-not-serving": grpc_health_v1.HealthCheckResponse_NOT_SERVING,
	} {
		mux.HandleFunc(path, func(http.ResponseWriter, *http.Request) { answers.SetServingStatus(service, status) })
	}
	return mux
}
