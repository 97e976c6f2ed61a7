package logging

import (
	"fmt"
	"strconv"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// ParseLevel reads the name of a level.
func ParseLevel(value string) (zapcore.Level, error) {
	switch value {
	case "debug":
		return zapcore.DebugLevel, nil
	case "info":
		return zapcore.InfoLevel, nil
	case "warn":
		return zapcore.WarnLevel, nil
	case "error":
		return zapcore.ErrorLevel, nil
	}
	return 0, fmt.Errorf("%q is not a log level: write debug, info, warn or error", value)
}

// LevelSetter returns the function with which clients of the API set the log's level. It is nil if
// they may not.
func LevelSetter(allowed bool, level zap.AtomicLevel, log *zap.Logger) func(name string) error {
	if !allowed {
		return nil
	}
	return func(name string) error { return setLevel(level, name, log) }
}

// setLevel sets the level by its name, or by klog's number: klog always logs numbers up to 3.
func setLevel(level zap.AtomicLevel, name string, log *zap.Logger) error {
	if n, err := strconv.ParseUint(name, 10, 8); err == nil {
		name = "info"
		if n > 3 {
			name = "debug"
		}
	}
	to, err := ParseLevel(name)
	if err != nil {
		return err
	}
	if from := level.Level(); from != to {
		log.Warn("the log level is changed", zap.Stringer("from", from), zap.Stringer("to", to))
	}
	level.SetLevel(to)
	return nil
}
