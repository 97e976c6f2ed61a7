package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"syscall"
	"time"

	"github.com/krustlet-go/krustlet-wasi/hack/guests/wasinet"
)

// httpClient sends requests. It waits as long as patience for a connection, and for ever if that
// is 0.
func httpClient(patience time.Duration) *http.Client {
	return &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, network, to string) (net.Conn, error) {
			ctx, stop := within(ctx, patience)
			defer stop()
			return wasinet.DialContext(ctx, network, to)
		},
	}}
}

// within bounds ctx by patience, if there is a bound.
func within(ctx context.Context, patience time.Duration) (context.Context, context.CancelFunc) {
	if patience <= 0 {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, patience)
}

// exchange sends a datagram and returns the answer.
func exchange(to string, message []byte, patience time.Duration) ([]byte, error) {
	c, err := wasinet.Dial("udp", to)
	if err != nil {
		return nil, err
	}
	defer func() { _ = c.Close() }()
	if patience > 0 {
		if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
			return nil, err
		}
	}
	if _, err := c.Write(message); err != nil {
		return nil, err
	}
	answer := make([]byte, 4096)
	n, err := c.Read(answer)
	return answer[:n], err
}

// connectTo is agnhost's connect: it tries whether a port can be reached. A test reads the first
// word of its error.
func connectTo(flags *flag.FlagSet) func() int {
	patience := flags.Duration("timeout", 0, "how long to wait; 0 is for ever")
	protocol := flags.String("protocol", "tcp", "tcp or udp")
	data := flags.String("udp-data", "hostname", "what to send by UDP")
	return func() int {
		to := flags.Arg(0)
		var err error
		switch *protocol {
		case "", "tcp":
			err = connectTCP(to, *patience)
		case "udp":
			_, err = exchange(to, []byte(*data+"\n"), *patience)
		default:
			err = errors.New("there is no such protocol in WASI")
		}
		if err == nil {
			return 0
		}
		fmt.Fprintf(os.Stderr, "%s: %v\n", kindOf(err), err)
		return 1
	}
}

func connectTCP(to string, patience time.Duration) error {
	ctx, stop := within(context.Background(), patience)
	defer stop()
	c, err := wasinet.DialContext(ctx, "tcp", to)
	if err != nil {
		return err
	}
	return c.Close()
}

// kindOf is the word for an error, as agnhost has it.
func kindOf(err error) string {
	var name *net.DNSError
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded), errors.Is(err, syscall.ETIMEDOUT):
		return "TIMEOUT"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "REFUSED"
	case errors.As(err, &name):
		return "DNS"
	}
	return "OTHER"
}
