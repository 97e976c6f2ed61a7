// Command serve is a guest that serves HTTP on every listening socket that it gets, by the
// convention of LISTEN_FDS: descriptors from 3 on. It answers with a line that names the path and
// the descriptor. It ends when its sockets are shut down, or when a client asks for /quit.
package main

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
)

func main() {
	count, err := strconv.Atoi(os.Getenv("LISTEN_FDS"))
	if err != nil || count < 1 {
		fmt.Fprintf(os.Stderr, "serve: LISTEN_FDS is %q: there is no socket to serve on\n", os.Getenv("LISTEN_FDS"))
		os.Exit(2)
	}
	ended := make(chan error)
	for fd := 3; fd < 3+count; fd++ {
		go func() { ended <- serve(fd) }()
	}
	fmt.Println("serving", count)
	for range count {
		if err := <-ended; err != nil {
			fmt.Fprintln(os.Stderr, "serve:", err)
		}
	}
	fmt.Println("served")
}

func serve(fd int) error {
	l, err := net.FileListener(os.NewFile(uintptr(fd), "socket"))
	if err != nil {
		return fmt.Errorf("descriptor %d: %w", fd, err)
	}
	mux := http.NewServeMux()
	server := &http.Server{Handler: mux}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintf(w, "%s from descriptor %d\n", r.URL.Path, fd)
	})
	mux.HandleFunc("/quit", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintln(w, "bye")
		go func() { _ = l.Close() }()
	})
	if err := server.Serve(l); !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}
