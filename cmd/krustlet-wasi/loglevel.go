package main

import (
	"strconv"

	"go.uber.org/zap"
)

// levelSetter is how clients of the API set the log's level; nil if they may not.
func levelSetter(cfg Config, level zap.AtomicLevel, log *zap.Logger) func(name string) error {
	if !cfg.API.DebugFlags {
		return nil
	}
	return func(name string) error { return setLogLevel(level, name, log) }
}

// setLogLevel sets the level by its name, or by a number as klog has it: up to 3 is what is always logged.
func setLogLevel(level zap.AtomicLevel, name string, log *zap.Logger) error {
	if n, err := strconv.ParseUint(name, 10, 8); err == nil {
		name = "info"
		if n > 3 {
			name = "debug"
		}
	}
	to, err := parseLogLevel(name)
	if err != nil {
		return err
	}
	if from := level.Level(); from != to {
		log.Warn("the log level is changed", zap.Stringer("from", from), zap.Stringer("to", to))
	}
	level.SetLevel(to)
	return nil
}
