package main

import (
	"crypto/tls"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
)

// porter serves the value of each variable SERVE_PORT_N, SERVE_TCP_PORT_N, SERVE_TLS_PORT_N or
// SERVE_UDP_PORT_N at port N.
func porter(flags *flag.FlagSet) func() int {
	asJSON := flags.Bool("json-response", false, "answer with JSON that has the method, too")
	return func() int {
		for _, variable := range os.Environ() {
			key, value, _ := strings.Cut(variable, "=")
			if err := serveVariable(key, value, *asJSON); err != nil {
				fmt.Fprintln(os.Stderr, "agnhost:", err)
			}
		}
		return pause()
	}
}

func serveVariable(key, value string, asJSON bool) error {
	name, number, is := strings.Cut(key, "PORT_")
	if !is || !strings.HasPrefix(name, "SERVE_") {
		return nil
	}
	port, err := strconv.Atoi(number)
	if err != nil {
		return fmt.Errorf("reading the number of a port: %w", err)
	}
	switch name {
	case "SERVE_UDP_":
		return serveDatagrams(port, func(string, net.Addr) string { return value })
	case "SERVE_TLS_":
		pair, err := tls.LoadX509KeyPair("/localhost.crt", "/localhost.key")
		if err != nil {
			return fmt.Errorf("reading the certificate: %w", err)
		}
		go serve(port, saysValue(value, asJSON), pair)
	case "SERVE_", "SERVE_TCP_":
		go serve(port, saysValue(value, asJSON))
	}
	return nil
}

func saysValue(value string, asJSON bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !asJSON {
			_, _ = fmt.Fprint(w, value)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(struct{ Method, Body string }{r.Method, value}) // fails if the client has gone
	})
}
