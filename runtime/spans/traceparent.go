package spans

import (
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// sampled is the flag of a trace that is kept.
const sampled = 1

// Places in the header traceparent of W3C Trace Context: VERSION-TRACE-PARENT-FLAGS.
const (
	traceAt  = 3
	parentAt = traceAt + 32 + 1
	flagsAt  = parentAt + 16 + 1
	length   = flagsAt + 2
)

// parse reads the header traceparent. It returns false if there is none that is valid. A later
// version of the header may be longer.
func parse(values []string) (span runtime.HTTPSpan, ok bool) {
	if len(values) != 1 {
		return runtime.HTTPSpan{}, false
	}
	text := values[0]
	if len(text) < length || text[traceAt-1] != '-' || text[parentAt-1] != '-' || text[flagsAt-1] != '-' {
		return runtime.HTTPSpan{}, false
	}
	var version, flags [1]byte
	read := func(into []byte, at int) bool {
		digits := text[at : at+2*len(into)]
		_, err := hex.Decode(into, []byte(digits))
		return err == nil && strings.ToLower(digits) == digits
	}
	if !read(version[:], 0) || !read(span.Trace[:], traceAt) || !read(span.Parent[:], parentAt) || !read(flags[:], flagsAt) {
		return runtime.HTTPSpan{}, false
	}
	switch {
	case version[0] == 0xff, version[0] == 0 && len(text) != length, len(text) > length && text[length] != '-':
		return runtime.HTTPSpan{}, false
	case span.Trace == ([16]byte{}), span.Parent == ([8]byte{}):
		return runtime.HTTPSpan{}, false
	}
	span.Flags = flags[0]
	return span, true
}

// Format is the header traceparent for what a request causes.
func Format(span runtime.HTTPSpan) string {
	return fmt.Sprintf("00-%x-%x-%02x", span.Trace, span.Span, span.Flags)
}
