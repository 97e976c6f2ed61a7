package extra

import (
	"context"
	"errors"
	"fmt"
	"unicode"
	"unicode/utf8"

	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/extra/bindings"
)

// Bounds of a line, in bytes.
const (
	maxLine    = 32 << 10
	maxContext = 1 << 10
	maxLeftOut = 64 // of the words that say how much was left out
)

// levels are the words that lines begin with.
var levels = [...]string{
	bindings.LevelTrace: "TRACE", bindings.LevelDebug: "DEBUG", bindings.LevelInfo: "INFO",
	bindings.LevelWarn: "WARN", bindings.LevelError: "ERROR", bindings.LevelCritical: "CRITICAL",
}

// logging has the functions of wasi:logging/logging.
type logging struct{ host *Host }

// Log implements bindings.LoggingHost.
func (l logging) Log(ctx context.Context, level bindings.Level, origin, message string) error {
	err := l.host.guest.Stderr().Line(ctx, line(level, origin, message))
	if errors.Is(err, wasi.ErrKilled) {
		return err
	}
	return nil // WIT has no error for it, and a log that fails is no reason to end the guest
}

// line is a message as a line.
func line(level bindings.Level, origin, message string) []byte {
	b := make([]byte, 0, min(maxLine, len(levels[level])+len(origin)+len(message)+4))
	b = append(b, levels[level]...)
	b = append(b, ' ')
	if origin != "" {
		b = escape(b, origin, len(b)+maxContext)
		b = append(b, ": "...)
	}
	b = escape(b, message, maxLine-maxLeftOut-1)
	return append(b, '\n')
}

// escape appends a text that has no line breaks and no other control characters than tabs. If b
// would have more than limit bytes, it says how much of the text was left out.
func escape(b []byte, text string, limit int) []byte {
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRuneInString(text[i:])
		was := len(b)
		switch {
		case r == '\n':
			b = append(b, `\n`...)
		case r == '\r':
			b = append(b, `\r`...)
		case r != '\t' && unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp): // with U+0085 and U+2028
			b = fmt.Appendf(b, `\u{%x}`, r)
		default:
			b = append(b, text[i:i+size]...)
		}
		if len(b) > limit {
			return fmt.Appendf(b[:was], "… (%d bytes left out)", len(text)-i)
		}
		i += size
	}
	return b
}
