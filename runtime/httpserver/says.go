package httpserver

import (
	"bytes"
	"strconv"
	"sync"
	"time"
)

// said is a kind of line that the server says. What clients send is never in it.
type said uint8

const (
	sayOther said = iota
	sayAccept
	sayHandshake
	sayFraming
	sayHTTP2
	sayPanic
	sayMemory
	saids
)

var texts = [saids]string{
	sayOther:     "a client broke the rules of HTTP",
	sayAccept:    "a connection could not be accepted; the next is tried after a moment",
	sayHandshake: "a TLS handshake failed",
	sayFraming:   "a client sent a request whose framing is not exact, which was refused",
	sayHTTP2:     "a client broke the rules of HTTP/2, and its connection ends",
	sayPanic:     "the handler of a request panicked, which is a defect of this program",
	sayMemory:    "there is no memory for a client: it was refused",
}

// each is how often a kind of line is said.
const each = time.Minute

// says bounds lines. It is also the writer of net/http's own log.
type says struct {
	to func(string)

	mu     sync.Mutex // guards the fields below
	last   [saids]time.Time
	unsaid [saids]int
}

// say says a line, unless it was said within a minute.
func (s *says) say(kind said) {
	if s.to == nil {
		return
	}
	now := time.Now()
	s.mu.Lock()
	if now.Sub(s.last[kind]) < each {
		s.unsaid[kind]++
		s.mu.Unlock()
		return
	}
	unsaid := s.unsaid[kind]
	s.last[kind], s.unsaid[kind] = now, 0
	s.mu.Unlock()
	text := texts[kind]
	if unsaid > 0 {
		text += " (and " + strconv.Itoa(unsaid) + " times since this was last said)"
	}
	s.to(text)
}

// line says a line that its caller bounds.
func (s *says) line(text string) {
	if s.to != nil {
		s.to(text)
	}
}

// Write takes a line of net/http, which may quote a client, and says its kind.
func (s *says) Write(line []byte) (int, error) {
	kind := sayOther
	switch {
	case bytes.HasPrefix(line, []byte("http2:")), bytes.HasPrefix(line, []byte("timeout waiting for SETTINGS")):
		kind = sayHTTP2
	case bytes.Contains(line, []byte("panic serving")):
		kind = sayPanic
	}
	s.say(kind)
	return len(line), nil
}
