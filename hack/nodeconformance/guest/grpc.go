package main

import (
	"encoding/binary"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync/atomic"
	"time"
)

// Answers of gRPC's health service.
const (
	serving    = 1
	notServing = 2
)

// grpcHealth serves the call of gRPC's health service that probes make. It uses HTTP/2 of the
// standard library: gRPC's own package would make the module three times as large and as slow to
// compile. It also serves HTTP, through which a test sets the answer.
func grpcHealth(flags *flag.FlagSet) func() int {
	port := flags.Int("port", 5000, "port")
	httpPort := flags.Int("http-port", 8080, "port of /make-serving and /make-not-serving")
	service := flags.String("service", "", "name")
	delay := flags.Int("delay-unhealthy-sec", -1, "seconds of health; negative is for ever")
	return func() int {
		var answer atomic.Uint32
		answer.Store(serving)
		if *delay >= 0 {
			time.AfterFunc(time.Duration(*delay)*time.Second, func() { answer.Store(notServing) })
		}
		l, err := listener(*port)
		if err != nil {
			fmt.Fprintln(os.Stderr, "agnhost:", err)
			return pause()
		}
		go serve(*httpPort, grpcSwitches(&answer))
		server := &http.Server{Handler: grpcCheck(*service, &answer), ReadHeaderTimeout: time.Minute, Protocols: &http.Protocols{}}
		server.Protocols.SetUnencryptedHTTP2(true)
		if err := server.Serve(l); err != nil {
			fmt.Fprintln(os.Stderr, "agnhost:", err)
		}
		return 0
	}
}

// grpcCheck answers /grpc.health.v1.Health/Check. Five bytes come before a message: a flag and the
// message's length.
func grpcCheck(service string, answer *atomic.Uint32) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "application/grpc")
		w.Header().Set("Trailer", "Grpc-Status")
		switch {
		case r.URL.Path != "/grpc.health.v1.Health/Check":
			w.Header().Set("Grpc-Status", "12") // unimplemented
		case err != nil || len(body) < 5:
			w.Header().Set("Grpc-Status", "3") // invalid argument
		case askedFor(body[5:]) != service:
			w.Header().Set("Grpc-Status", "5") // not found
		default:
			message := []byte{1 << 3, byte(answer.Load())} // field 1, a number
			_, _ = w.Write(append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message))), message...))
			w.Header().Set("Grpc-Status", "0")
		}
	})
}

// askedFor is the service in a HealthCheckRequest: field 1, a text of less than 128 bytes.
func askedFor(request []byte) string {
	if len(request) < 2 || request[0] != 1<<3|2 || int(request[1]) != len(request)-2 {
		return ""
	}
	return string(request[2:])
}

func grpcSwitches(answer *atomic.Uint32) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/make-serving", func(http.ResponseWriter, *http.Request) { answer.Store(serving) })
	mux.HandleFunc("/make-not-serving", func(http.ResponseWriter, *http.Request) { answer.Store(notServing) })
	return mux
}
