package kubeletapi

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/krustlet-go/krustlet-wasi/hack/authority"
)

// A stranger gets 401 and no other information, in whatever form the request is written.
//
// docs/security.md: "no client is anonymous", "Else 401, and the connection is closed".
func TestNoWayAroundAuthentication(t *testing.T) {
	server := runServer(t, authority.New(t, "ca"), func(c *Config) { c.Profiling = true })
	for _, request := range []string{
		"OPTIONS * HTTP/1.1\r\nHost: node\r\n\r\n",
		"OPTIONS * HTTP/1.0\r\n\r\n",
		"OPTIONS /pods HTTP/1.1\r\nHost: node\r\n\r\n",
		"GET * HTTP/1.1\r\nHost: node\r\n\r\n",
		"CONNECT node:443 HTTP/1.1\r\nHost: node:443\r\n\r\n",
		"CONNECT /pods HTTP/1.1\r\nHost: node:443\r\n\r\n",
		"GET /pods HTTP/1.0\r\n\r\n",
		"GET https://node/pods HTTP/1.1\r\nHost: node\r\n\r\n",
		"GET http://localhost/healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"GET //pods HTTP/1.1\r\nHost: node\r\n\r\n",
		"GET /pods/../configz HTTP/1.1\r\nHost: node\r\n\r\n",
		"GET /runningpods HTTP/1.1\r\nHost: node\r\n\r\n", // a known user is redirected from here
		"GET /debug/pprof HTTP/1.1\r\nHost: node\r\n\r\n",
		"GET /healthz HTTP/1.1\r\nHost: node\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: node\r\n\r\n",
		"HEAD /pods HTTP/1.1\r\nHost: node\r\n\r\n",
		"TRACE /pods HTTP/1.1\r\nHost: node\r\n\r\n",
		"BREW /pods HTTP/1.1\r\nHost: node\r\n\r\n",
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"GET /pods HTTP/1.1\r\nHost: node\r\nUpgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n",
		"GET /exec/ns/p/c?command=x&output=1 HTTP/1.1\r\nHost: node\r\nUpgrade: SPDY/3.1\r\nConnection: Upgrade\r\n\r\n",
		"PUT /debug/flags/v HTTP/1.1\r\nHost: node\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n",
		"POST /pods HTTP/1.1\r\nHost: node\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"GET /pods HTTP/1.1\r\nHost: node\r\nX-Remote-User: root\r\nX-Remote-Group: system:masters\r\n\r\n",
		"GET /pods HTTP/1.1\r\nHost: node\r\nImpersonate-User: root\r\n\r\n",
	} {
		line, _, _ := strings.Cut(request, "\r\n")
		t.Run(line, func(t *testing.T) {
			conn := server.dial(t, "http/1.1")
			if _, err := io.WriteString(conn, request); err != nil {
				t.Fatal(err)
			}
			reader := bufio.NewReader(conn)
			method, _, _ := strings.Cut(line, " ")
			answer, err := http.ReadResponse(reader, &http.Request{Method: method})
			if err != nil {
				t.Fatal(err)
			}
			text, _ := io.ReadAll(answer.Body)
			if answer.StatusCode != http.StatusUnauthorized || method != http.MethodHead && method != http.MethodConnect && string(text) != "Unauthorized\n" {
				t.Errorf("%s %q", answer.Status, text)
			}
			if len(answer.Header["Allow"]) > 0 || len(answer.Header["Location"]) > 0 {
				t.Errorf("a stranger is told %v", answer.Header)
			}
			if _, err := io.Copy(io.Discard, reader); isTimeout(err) {
				t.Error("the connection is still open")
			}
		})
	}
}

// The same holds over HTTP/2, where methods and paths are fields.
func TestNoWayAroundAuthenticationOverHTTP2(t *testing.T) {
	server := runServer(t, authority.New(t, "ca"), nil)
	for name, fields := range map[string][][2]string{
		"OPTIONS *":     {{":method", "OPTIONS"}, {":scheme", "https"}, {":authority", "node"}, {":path", "*"}},
		"GET /pods":     {{":method", "GET"}, {":scheme", "https"}, {":authority", "node"}, {":path", "/pods"}},
		"other scheme":  {{":method", "GET"}, {":scheme", "http"}, {":authority", "localhost"}, {":path", "/healthz"}},
		"CONNECT":       {{":method", "CONNECT"}, {":authority", "node:443"}},
		"HEAD":          {{":method", "HEAD"}, {":scheme", "https"}, {":authority", "node"}, {":path", "/pods"}},
		"//pods":        {{":method", "GET"}, {":scheme", "https"}, {":authority", "node"}, {":path", "//pods"}},
		"no authority":  {{":method", "GET"}, {":scheme", "https"}, {":path", "/pods"}},
		"remote user":   {{":method", "GET"}, {":scheme", "https"}, {":authority", "node"}, {":path", "/pods"}, {"x-remote-user", "root"}},
		"no such thing": {{":method", "BREW"}, {":scheme", "https"}, {":authority", "node"}, {":path", "/nothing"}},
	} {
		t.Run(name, func(t *testing.T) {
			framer, _ := openHTTP2(t, server.dial(t, "h2"))
			if err := send(framer, 1, fields); err != nil {
				t.Fatal(err)
			}
			if status := statusOfStream(t, framer, 1); status != "401" {
				t.Errorf("%s", status)
			}
			for { // until the server has closed the connection
				if _, err := framer.ReadFrame(); err != nil {
					if isTimeout(err) {
						t.Error("the connection is still open")
					}
					return
				}
			}
		})
	}
}

// send opens a stream with these fields.
func send(framer *http2.Framer, stream uint32, fields [][2]string) error {
	var block bytes.Buffer
	header := hpack.NewEncoder(&block)
	for _, field := range fields {
		if err := header.WriteField(hpack.HeaderField{Name: field[0], Value: field[1], Sensitive: true}); err != nil {
			return err
		}
	}
	return framer.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: block.Bytes(), EndStream: true, EndHeaders: true})
}

// statusOfStream reads until a stream has its answer, or has ended.
func statusOfStream(t *testing.T, framer *http2.Framer, stream uint32) string {
	t.Helper()
	status := ""
	decoder := hpack.NewDecoder(4096, func(f hpack.HeaderField) {
		if f.Name == ":status" {
			status = f.Value
		}
	})
	for {
		frame, err := framer.ReadFrame()
		if err != nil {
			return err.Error()
		}
		switch f := frame.(type) {
		case *http2.HeadersFrame:
			status = ""
			if _, err := decoder.Write(f.HeaderBlockFragment()); err != nil {
				t.Fatal(err)
			}
			if f.StreamID == stream {
				return status
			}
		case *http2.RSTStreamFrame:
			if f.StreamID == stream {
				return f.ErrCode.String()
			}
		}
	}
}

// A stranger loses its connection, even if it has opened other streams, or is silent.
//
// docs/security.md: "30 seconds to say who it is".
func TestStrangersLoseHTTP2(t *testing.T) {
	server := runServer(t, authority.New(t, "ca"), func(c *Config) {
		impatient(c)
		c.limits.idle, c.limits.pingAfter = time.Hour, time.Hour // these limits must not close the connections
		c.limits.strange = 2 * time.Second
	})
	for name, fields := range map[string][][2]string{
		"that say nothing":      nil,
		"who send their bodies": {{":method", "POST"}, {":scheme", "https"}, {":authority", "node"}, {":path", "/stats/summary"}},
	} {
		t.Run(name, func(t *testing.T) {
			framer, _ := openHTTP2(t, server.dial(t, "h2"))
			for stream := uint32(1); stream < 20 && fields != nil; stream += 2 {
				var block bytes.Buffer
				header := hpack.NewEncoder(&block)
				for _, field := range fields {
					_ = header.WriteField(hpack.HeaderField{Name: field[0], Value: field[1], Sensitive: true}) // it is written to memory
				}
				if err := framer.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: block.Bytes(), EndHeaders: true}); err != nil {
					t.Fatal(err)
				}
			}
			for {
				_, err := framer.ReadFrame()
				if errors.Is(err, http2.ErrFrameTooLarge) || err == nil {
					continue
				}
				if isTimeout(err) {
					t.Error("the connection is still open")
				}
				return
			}
		})
	}
}
