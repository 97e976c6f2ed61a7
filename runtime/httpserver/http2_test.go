package httpserver

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/krustlet-go/krustlet-wasi/hack/eventually"
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// framer is a client of HTTP/2 that need not follow rules.
type framer struct {
	*http2.Framer
	conn    net.Conn
	headers bytes.Buffer
	encoder *hpack.Encoder
}

func (s *site) framer(t *testing.T, settings ...http2.Setting) *framer {
	t.Helper()
	f := &framer{conn: s.dial(t, false)}
	f.encoder = hpack.NewEncoder(&f.headers)
	f.Framer = http2.NewFramer(f.conn, f.conn)
	_, _ = io.WriteString(f.conn, http2.ClientPreface)
	_ = f.WriteSettings(settings...)
	return f
}

func (f *framer) block(fields ...string) []byte {
	f.headers.Reset()
	for i := 0; i < len(fields); i += 2 {
		_ = f.encoder.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	return bytes.Clone(f.headers.Bytes())
}

func (f *framer) ask(id uint32, path string) error {
	block := f.block(":method", "GET", ":scheme", "http", ":path", path, ":authority", "a")
	return f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block, EndHeaders: true, EndStream: true})
}

// frames reads frames until the connection closes, or one is the last.
func (f *framer) frames(last func(http2.Frame) bool) (closed bool) {
	for {
		frame, err := f.ReadFrame()
		if err != nil {
			return true
		}
		if last(frame) {
			return false
		}
	}
}

func TestRapidReset(t *testing.T) {
	block := make(chan struct{})
	s := newSite(t, runtime.HTTP{}, func(http.ResponseWriter, *http.Request) { <-block })
	defer close(block)
	f := s.framer(t)
	calm := make(chan bool, 1)
	go func() {
		saw := false
		f.frames(func(frame http2.Frame) bool {
			away, ok := frame.(*http2.GoAwayFrame)
			saw = saw || ok && away.ErrCode == http2.ErrCodeEnhanceYourCalm
			return false
		})
		calm <- saw
	}()
	for id := uint32(1); id < 1<<20; id += 2 {
		if f.ask(id, "/") != nil || f.WriteRSTStream(id, http2.ErrCodeCancel) != nil {
			break
		}
	}
	if !<-calm {
		t.Error("the connection does not end with ENHANCE_YOUR_CALM")
	}
	if n := s.handled.Load(); n > streams {
		t.Errorf("%d handlers run at a time for one connection", n)
	}
}

// TestFloods sends frames that want an answer, and reads none; or fields without an end.
func TestFloods(t *testing.T) {
	s := newSite(t, runtime.HTTP{MaxHeader: 8 << 10, StallTimeout: time.Second, IdleTimeout: time.Second}, func(http.ResponseWriter, *http.Request) {})
	for name, frame := range map[string]func(f *framer, i int) error{
		"pings": func(f *framer, _ int) error { return f.WritePing(false, [8]byte{}) },
		"settings": func(f *framer, i int) error {
			return f.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: uint32(i%2 + 1)})
		},
		"data of a stream that has ended": func(f *framer, i int) error {
			if i == 0 {
				return f.ask(1, "/")
			}
			return f.WriteData(1, true, []byte("a"))
		},
		"continuations": func(f *framer, i int) error {
			if i == 0 {
				return f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: f.block(":method", "GET")})
			}
			return f.WriteContinuation(1, false, f.block("a", strings.Repeat("b", 1000)))
		},
	} {
		f := s.framer(t)
		const most = 2_000_000
		begin, i := time.Now(), 0
		for i < most && frame(f, i) == nil {
			i++
		}
		t.Logf("%s: the connection ends after %d frames and %v", name, i, time.Since(begin))
		if i == most {
			t.Errorf("%s: the server takes all", name)
		}
	}
	eventually.True(t, "no connection is left", func() bool { return s.Stats().Open == 0 })
}

func TestHeadWithoutEnd(t *testing.T) {
	s := newSite(t, runtime.HTTP{IdleTimeout: 500 * time.Millisecond}, func(http.ResponseWriter, *http.Request) {})
	f := s.framer(t)
	_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: f.block(":method", "GET")})
	if !f.frames(func(http2.Frame) bool { return false }) {
		t.Error("a head without an end is waited for")
	}
}

func TestHeadersOfHTTP2(t *testing.T) {
	s := newSite(t, runtime.HTTP{MaxHeader: 8 << 10}, func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" || r.Host != "a" || r.Header.Get("Te") == "gzip" || r.Header["Host"] != nil {
			t.Errorf("%v %v came through", r.URL, r.Header)
		}
	})
	const start = ":method GET|:scheme http|:path /|:authority a"
	for fields, want := range map[string]string{
		start: "200",
		":method GET|:scheme http|:path /|host a":                  "200",
		start + "|host a":                                          "200",
		start + "|te trailers":                                     "200",
		start + "|host b":                                          "400",
		start + "|host a|host a":                                   "400",
		":method GET|:scheme http|:path /":                         "400",
		":method GET|:scheme http|:path /|:authority u@a":          "reset",
		":method GET|:scheme http|:path http://b/|:authority a":    "400",
		":method GET|:scheme http|:path /a b|:authority a":         "400",
		":method GET|:scheme http|:path /\r\nX: b|:authority a":    "reset",
		":method GET|:scheme http|:path |:authority a":             "reset",
		":method G(T|:scheme http|:path /|:authority a":            "400",
		":method CONNECT|:authority a:80":                          "501",
		":method CONNECT|:protocol websocket|" + start[12:]:        "reset",
		start + "|connection close":                                "400",
		start + "|te gzip":                                         "400",
		start + "|transfer-encoding chunked":                       "400",
		start + "|A b":                                             "reset",
		start + "|a b\r\nc: d":                                     "reset",
		start + "|a " + strings.Repeat("b", 12<<10):                "reset",
		start + strings.Repeat("|a "+strings.Repeat("b", 2000), 3): "431",
		start + "|a b|:method GET":                                 "reset",
		":method GET|:scheme ftp|:path /|:authority a":             "reset",
	} {
		var pairs []string
		for field := range strings.SplitSeq(fields, "|") {
			name, value, _ := strings.Cut(field, " ")
			pairs = append(pairs, name, value)
		}
		f := s.framer(t)
		_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: f.block(pairs...), EndHeaders: true, EndStream: true})
		f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
		got := "reset"
		f.frames(func(frame http2.Frame) bool {
			switch frame := frame.(type) {
			case *http2.MetaHeadersFrame:
				got = frame.PseudoValue("status")
				return true
			case *http2.RSTStreamFrame, *http2.GoAwayFrame:
				return true
			}
			return false
		})
		if got != want {
			t.Errorf("%.80q is answered %q, want %q", fields, got, want)
		}
		_ = f.conn.Close()
	}
}

// TestWindowThatNeverOpens: a client asks, and takes nothing of the answers. The connection is not
// blocked, so only the streams can be ended.
func TestWindowThatNeverOpens(t *testing.T) {
	s := newSite(t, runtime.HTTP{StallTimeout: 300 * time.Millisecond}, func(w http.ResponseWriter, r *http.Request) {
		size := 100
		if r.URL.RawQuery != "" {
			size = 1 << 20
		}
		_, _ = w.Write(make([]byte, size))
	})
	f := s.framer(t, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
	if f.ask(1, "/") != nil || f.ask(3, "/?large") != nil {
		t.Fatal("the connection is closed")
	}
	resets := map[uint32]bool{}
	f.frames(func(frame http2.Frame) bool {
		if _, ok := frame.(*http2.RSTStreamFrame); ok {
			resets[frame.Header().StreamID] = true
		}
		return len(resets) == 2
	})
	if !resets[1] || !resets[3] {
		t.Errorf("the streams that were ended: %v", resets)
	}
	eventually.True(t, "nothing is under way", func() bool { return s.Stats().Active == 0 })
}
