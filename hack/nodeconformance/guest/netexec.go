package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"mvdan.cc/sh/v3/expand"
)

// netexec is agnhost's server. It has an endpoint for each thing that a test may want.
func netexec(flags *flag.FlagSet) func() int {
	port := flags.Int("http-port", 8080, "port")
	udp := flags.Int("udp-port", 8081, "port for UDP, or -1")
	flags.String("udp-listen-addresses", "", "addresses for UDP: it is all of the pod's here")
	override := flags.String("http-override", "", "path whose answer is the answer to all requests")
	flags.Int("sctp-port", -1, "port for SCTP: nothing listens on it here")
	flags.Int("delay-shutdown", 0, "seconds from SIGTERM to the end: there are no signals here")
	cert := flags.String("tls-cert-file", "", "path")
	key := flags.String("tls-private-key-file", "", "path")
	return func() int {
		var pair []tls.Certificate
		if *cert != "" {
			loaded, err := tls.LoadX509KeyPair(*cert, *key)
			if err != nil {
				fmt.Fprintln(os.Stderr, "agnhost:", err)
				return 1
			}
			pair = append(pair, loaded)
		}
		if *udp >= 0 {
			if err := serveDatagrams(*udp, datagramAnswer(*udp)); err != nil {
				log.Print(err) // the pod may be without an address of its own, and its spec without this port
			}
		}
		routes := netexecRoutes(*port)
		if *override != "" {
			routes = always(*override, routes)
		}
		return serve(*port, routes, pair...)
	}
}

// always answers each request as if it were for path.
func always(path string, routes http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		instead, err := http.NewRequestWithContext(r.Context(), http.MethodGet, path, nil)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		routes.ServeHTTP(w, instead)
	})
}

func netexecRoutes(port int) http.Handler {
	mux := http.NewServeMux()
	say := func(path string, what func(*http.Request) any) {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			log.Printf("GET %s", r.URL.Path)
			_, _ = fmt.Fprint(w, what(r))
		})
	}
	say("/", func(*http.Request) any { return fmt.Sprintf("NOW: %v", time.Now()) })
	say("/clientip", func(r *http.Request) any { return r.RemoteAddr })
	say("/serverport", func(*http.Request) any { return port })
	say("/hostname", func(*http.Request) any { return os.Getenv("HOSTNAME") })
	say("/hostName", func(*http.Request) any { return os.Getenv("HOSTNAME") })
	say("/healthz", func(*http.Request) any { return "" })
	say("/readyz", func(*http.Request) any { return "" })
	mux.HandleFunc("/echo", echo)
	mux.HandleFunc("/header", header)
	mux.HandleFunc("/redirect", redirect)
	mux.HandleFunc("/shell", remoteShell)
	mux.HandleFunc("/exit", exit)
	mux.HandleFunc("/shutdown", exit)
	mux.HandleFunc("/dial", dial)
	return mux
}

func echo(w http.ResponseWriter, r *http.Request) {
	msg, code := r.FormValue("msg"), r.FormValue("code")
	log.Printf("GET /echo?msg=%s&code=%s", msg, code)
	if code != "" {
		status, err := strconv.Atoi(code)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.WriteHeader(status)
	}
	_, _ = fmt.Fprint(w, msg)
}

func header(w http.ResponseWriter, r *http.Request) {
	log.Printf("GET /header?%s", r.URL.RawQuery)
	if key := r.FormValue("key"); key != "" {
		_, _ = fmt.Fprint(w, r.Header.Get(key))
		return
	}
	_ = json.NewEncoder(w).Encode(r.Header) // fails if the client has closed the connection
}

func redirect(w http.ResponseWriter, r *http.Request) {
	log.Printf("GET /redirect?%s", r.URL.RawQuery)
	code := http.StatusFound
	if text := r.FormValue("code"); text != "" {
		var err error
		if code, err = strconv.Atoi(text); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
	}
	http.Redirect(w, r, r.FormValue("location"), code)
}

// remoteShell runs a script and returns its output.
func remoteShell(w http.ResponseWriter, r *http.Request) {
	script := r.FormValue("cmd") + r.FormValue("shellCommand")
	log.Printf("GET /shell?cmd=%s", script)
	var out strings.Builder
	c := call{args: []string{"sh"}, dir: "/", env: expand.ListEnviron(os.Environ()...), stdin: nothing{}, stdout: &out, stderr: &out}
	answer := map[string]string{}
	if code := interpret(r.Context(), c, script, "sh", nil, false); code != 0 {
		answer["error"] = fmt.Sprintf("exit status %d", code)
		w.WriteHeader(http.StatusExpectationFailed)
	}
	answer["output"] = out.String()
	_ = json.NewEncoder(w).Encode(answer) // fails if the client has closed the connection
}

// exit ends the program. The client may set a delay and a code.
func exit(_ http.ResponseWriter, r *http.Request) {
	log.Printf("GET %s?%s", r.URL.Path, r.URL.RawQuery)
	wait, err := time.ParseDuration(r.FormValue("wait"))
	if err != nil {
		wait = 0
	}
	code, err := strconv.Atoi(r.FormValue("code"))
	if err != nil {
		code = 0
	}
	ctx, cancel := context.WithTimeout(r.Context(), wait)
	defer cancel()
	<-ctx.Done()
	os.Exit(code)
}
