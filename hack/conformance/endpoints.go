package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
)

// server is what a program sends requests to. Its address is in the program's environment.
type server struct {
	Name      string     `json:"name"`
	Kind      string     `json:"kind"` // closed: nothing listens at the address
	Endpoints []endpoint `json:"endpoints"`
}

// endpoint answers one method at one path, which has the query.
type endpoint struct {
	Method   string `json:"method"`
	Path     string `json:"path"`
	Mode     string `json:"mode"` // echo-body, echo-headers, or none
	Response struct {
		Status   int               `json:"status"`
		Headers  map[string]string `json:"headers"`
		Body     string            `json:"body"`
		Chunks   []string          `json:"chunks"`
		Trailers map[string]string `json:"trailers"`
	} `json:"response"`
}

// serve starts the servers, and returns the variables that name them.
func (s specification) serve(ctx context.Context) (env map[string]string, stop func(), err error) {
	var all []*httptest.Server
	stop = func() {
		for _, s := range all {
			s.Close()
		}
	}
	env = map[string]string{}
	for _, raw := range s.Servers {
		var of server
		if err := json.Unmarshal(raw, &of); err != nil {
			stop()
			return nil, nil, fmt.Errorf("reading what servers a program needs: %w", err)
		}
		var address string
		if of.Kind == "closed" {
			address, err = closedAddress(ctx)
		} else {
			h := httptest.NewServer(of)
			all = append(all, h)
			address = h.Listener.Addr().String()
		}
		if err != nil {
			stop()
			return nil, nil, err
		}
		env["HTTP_SERVER_"+strings.ToUpper(of.Name)] = address
	}
	return env, stop, nil
}

// closedAddress is an address that refuses connections.
func closedAddress(ctx context.Context) (string, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("finding a closed port: %w", err)
	}
	return l.Addr().String(), l.Close()
}

// ServeHTTP implements http.Handler.
func (s server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxAnswer))
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	for _, e := range s.Endpoints {
		if e.Method == r.Method && e.Path == r.RequestURI {
			e.answer(w, r, body)
			return
		}
	}
	w.WriteHeader(http.StatusNotFound)
}

func (e endpoint) answer(w http.ResponseWriter, r *http.Request, body []byte) {
	switch e.Mode {
	case "echo-body":
		_, _ = w.Write(body) // if the program is gone, it has failed
	case "echo-headers":
		echo(w.Header(), r)
	default:
		of := e.Response
		for name, value := range of.Headers {
			w.Header().Set(name, value)
		}
		if of.Chunks == nil {
			w.Header().Set("Content-Length", strconv.Itoa(len(of.Body)))
		}
		w.WriteHeader(of.Status)
		_, _ = io.WriteString(w, of.Body)
		for _, c := range of.Chunks {
			_, _ = io.WriteString(w, c)
			_ = http.NewResponseController(w).Flush()
		}
		for name, value := range of.Trailers {
			w.Header().Set(http.TrailerPrefix+name, value)
		}
	}
}

// echo tells what a request had, also what net/http takes out of its headers.
func echo(to http.Header, r *http.Request) {
	to.Set("X-Request-Method", r.Method)
	to.Set("X-Request-Path", r.RequestURI)
	to.Set("X-Echo-Host", r.Host)
	for _, coding := range r.TransferEncoding {
		to.Add("X-Echo-Transfer-Encoding", coding)
	}
	for name, values := range r.Header {
		to["X-Echo-"+name] = values
	}
	for name, values := range r.Trailer {
		to["X-Trailer-"+name] = values
	}
}
