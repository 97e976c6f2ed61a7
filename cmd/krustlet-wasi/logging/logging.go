// Package logging is the program's log: its forms and levels. The log also gets the logs of
// libraries.
package logging

import (
	"fmt"
	"io"
	"time"

	"github.com/go-logr/zapr"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"k8s.io/klog/v2"
)

// The forms of the log.
const (
	Console = "console"
	JSON    = "json"
)

// timeLayout is RFC 3339 with a fixed number of digits, so that columns line up.
const timeLayout = "2006-01-02T15:04:05.000Z07:00"

// While a server is unreachable, libraries repeat the same message. Of one message, libraryFirst
// lines are logged in each libraryPeriod.
const (
	libraryPeriod = 30 * time.Second
	libraryFirst  = 5
)

// New makes a log of this form on w. The caller may change the returned level while the log is in
// use.
func New(level zapcore.Level, form string, w io.Writer) (*zap.Logger, zap.AtomicLevel) {
	changeable := zap.NewAtomicLevelAt(level)
	enc := zap.NewProductionEncoderConfig()
	enc.TimeKey = "time"
	enc.MessageKey = "message"
	enc.EncodeTime = zapcore.TimeEncoderOfLayout(timeLayout)
	enc.EncodeDuration = zapcore.StringDurationEncoder
	encoder := zapcore.NewJSONEncoder(enc)
	if form == Console {
		enc.EncodeLevel = zapcore.CapitalLevelEncoder
		enc.ConsoleSeparator = " "
		encoder = zapcore.NewConsoleEncoder(enc)
	}
	out := zapcore.Lock(zapcore.AddSync(w))
	return zap.New(zapcore.NewCore(encoder, out, changeable), zap.ErrorOutput(out)), changeable
}

// ParseForm reads the name of a form.
func ParseForm(value string) (string, error) {
	if value == Console || value == JSON {
		return value, nil
	}
	return "", fmt.Errorf("%q is not a log format: write %s or %s", value, Console, JSON)
}

// BridgeLibraries sends the logs of libraries to log. client-go and the API machinery log by klog,
// and net/http by package log. Both are globals, so only one bridge may exist at a time. undo ends
// the bridge. No library may run while undo runs.
func BridgeLibraries(log *zap.Logger) (undo func()) {
	quiet := log.WithOptions(zap.WrapCore(func(core zapcore.Core) zapcore.Core {
		return zapcore.NewSamplerWithOptions(core, libraryPeriod, libraryFirst, 0)
	}))
	klog.SetLoggerWithOptions(zapr.NewLogger(quiet.Named("client-go")), klog.ContextualLogger(true))
	// If a server has no log of its own, net/http reports panics of handlers to package log. The
	// level is valid, so there is no error.
	restore, err := zap.RedirectStdLogAt(quiet.Named("log"), zapcore.WarnLevel)
	return func() {
		if err == nil {
			restore()
		}
		klog.ClearLogger()
	}
}
