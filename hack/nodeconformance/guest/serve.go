package main

import (
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/krustlet-go/krustlet-wasi/hack/guests/wasinet"
)

// firstSocket is the descriptor of the first listening socket that the guest gets.
const firstSocket = 3

// listener finds the listening socket for a port among those that the guest gets. If there is none,
// it makes one.
func listener(port int) (net.Listener, error) {
	names := os.Getenv("LISTEN_FDNAMES")
	i := slices.Index(strings.Split(names, ":"), strconv.Itoa(port))
	if i < 0 { // the pod's spec does not name the port
		l, _, err := wasinet.Listen(netip.AddrPortFrom(netip.IPv4Unspecified(), uint16(port)))
		if err != nil {
			return nil, fmt.Errorf("listening at port %d, without a socket that was handed over: %w", port, err)
		}
		return l, nil
	}
	return net.FileListener(os.NewFile(uintptr(firstSocket+i), "socket"))
}

// serve serves HTTP on a port until its socket is shut down because the pod is deleted. pair is a
// certificate and its key, or empty.
func serve(port int, handler http.Handler, pair ...tls.Certificate) int {
	l, err := listener(port)
	if err != nil {
		fmt.Fprintln(os.Stderr, "agnhost:", err)
		return pause() // behaves like a server without clients
	}
	if len(pair) > 0 {
		l = tls.NewListener(l, &tls.Config{Certificates: pair, MinVersion: tls.VersionTLS12})
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: time.Minute}
	log.Printf("Started HTTP server on port %d", port)
	if err := server.Serve(l); err != nil && !errors.Is(err, net.ErrClosed) {
		log.Printf("The server ended: %v", err)
	}
	return 0
}

// webServer answers every request.
func webServer(port int) int {
	return serve(port, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintln(w, "Welcome")
	}))
}

// liveness is healthy for ten seconds.
func liveness(*flag.FlagSet) func() int {
	const healthy = 10 * time.Second
	return func() int {
		started := time.Now()
		mux := http.NewServeMux()
		mux.HandleFunc("/started", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = fmt.Fprint(w, time.Since(started))
		})
		mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) {
			if age := time.Since(started); age > healthy {
				http.Error(w, fmt.Sprintf("error: %v", age.Seconds()), http.StatusInternalServerError)
				return
			}
			_, _ = fmt.Fprint(w, "ok")
		})
		mux.HandleFunc("/redirect", func(w http.ResponseWriter, r *http.Request) {
			to, err := url.QueryUnescape(r.URL.Query().Get("loc"))
			if err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			http.Redirect(w, r, to, http.StatusFound)
		})
		return serve(8080, mux)
	}
}

// testWebServer serves the container's files.
func testWebServer(flags *flag.FlagSet) func() int {
	port := flags.Int("port", 80, "port")
	return func() int { return serve(*port, http.FileServer(http.Dir("/"))) }
}

// serveHostname answers with the hostname: HTTP, or the mere name by TCP or UDP.
func serveHostname(flags *flag.FlagSet) func() int {
	port := flags.Int("port", 9376, "port")
	flags.Bool("http", true, "serve HTTP, if neither of the others is served")
	flags.Bool("close", false, "close connections after an answer")
	tcp := flags.Bool("tcp", false, "serve the name by TCP")
	udp := flags.Bool("udp", false, "serve the name by UDP")
	return func() int {
		name := os.Getenv("HOSTNAME")
		if *udp {
			if err := serveDatagrams(*port, func(string, net.Addr) string { return name }); err != nil {
				fmt.Fprintln(os.Stderr, "agnhost:", err)
			}
		}
		switch {
		case *tcp:
			return serveName(*port, name)
		case *udp:
			return pause()
		}
		return serve(*port, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = fmt.Fprint(w, name)
		}))
	}
}

// serveName writes the name to each client.
func serveName(port int, name string) int {
	l, err := listener(port)
	for err == nil {
		var c net.Conn
		if c, err = l.Accept(); err == nil {
			_, _ = c.Write([]byte(name)) // the client may have closed it
			_ = c.Close()
		}
	}
	fmt.Fprintln(os.Stderr, "agnhost:", err)
	return 1
}
