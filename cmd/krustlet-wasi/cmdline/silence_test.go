package cmdline

import (
	"bytes"
	"io"
	"log"
	"net"
	"net/http"
	"testing"
)

// TestSilence: what a server sends without a request is not in the log. net/http closes the
// connection when it has seen it.
func TestSilence(t *testing.T) {
	var said bytes.Buffer
	before := log.Writer()
	defer log.SetOutput(before)
	log.SetOutput(&said)
	silence()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer func() { _ = c.Close() }()
		_, _ = c.Read(make([]byte, 4096))
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nhostile text")
		_, _ = c.Read(make([]byte, 1)) // until net/http has closed it
	}()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+l.Addr().String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	<-ended
	_ = l.Close()
	if said.Len() > 0 {
		t.Errorf("the log has %q", said.String())
	}
}
