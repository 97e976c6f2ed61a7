package main

import (
	"io"
	"time"

	"github.com/go-logr/zapr"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"k8s.io/klog/v2"
)

// The forms of the log.
const (
	formatConsole = "console"
	formatJSON    = "json"
)

// logTime is RFC 3339 with a fixed number of digits, so that columns line up.
const logTime = "2006-01-02T15:04:05.000Z07:00"

// Libraries repeat themselves for as long as a server is away: of one message, this many a period are
// enough.
const (
	libraryLogPeriod = 30 * time.Second
	libraryLogFirst  = 5
)

// newLogger makes the program's log on w. The level may be changed while it is in use.
func newLogger(cfg Config, w io.Writer) (*zap.Logger, zap.AtomicLevel) {
	level := zap.NewAtomicLevelAt(cfg.LogLevel)
	enc := zap.NewProductionEncoderConfig()
	enc.TimeKey = "time"
	enc.MessageKey = "message"
	enc.EncodeTime = zapcore.TimeEncoderOfLayout(logTime)
	enc.EncodeDuration = zapcore.StringDurationEncoder
	encoder := zapcore.NewJSONEncoder(enc)
	if cfg.LogFormat == formatConsole {
		enc.EncodeLevel = zapcore.CapitalLevelEncoder
		enc.ConsoleSeparator = " "
		encoder = zapcore.NewConsoleEncoder(enc)
	}
	out := zapcore.Lock(zapcore.AddSync(w))
	return zap.New(zapcore.NewCore(encoder, out, level), zap.ErrorOutput(out)), level
}

// bridgeLibraryLogs sends what libraries log into log: klog, which client-go and the API machinery use, and
// package log, which net/http falls back on. Both are globals, so at most one bridge may stand at a time;
// undo takes it down, and no library may be at work then.
func bridgeLibraryLogs(log *zap.Logger) (undo func()) {
	quiet := log.WithOptions(zap.WrapCore(func(core zapcore.Core) zapcore.Core {
		return zapcore.NewSamplerWithOptions(core, libraryLogPeriod, libraryLogFirst, 0)
	}))
	klog.SetLoggerWithOptions(zapr.NewLogger(quiet.Named("client-go")), klog.ContextualLogger(true))
	// net/http reports panics of handlers there, where a server has no log of its own. The level is a valid
	// one, so there is no error.
	restore, err := zap.RedirectStdLogAt(quiet.Named("log"), zapcore.WarnLevel)
	return func() {
		if err == nil {
			restore()
		}
		klog.ClearLogger()
	}
}
