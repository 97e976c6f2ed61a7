package logging

import (
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

func TestSetLogLevel(t *testing.T) {
	level := zap.NewAtomicLevelAt(zapcore.InfoLevel)
	core, seen := observer.New(zapcore.DebugLevel)
	log := zap.New(core)
	if LevelSetter(false, level, log) != nil {
		t.Error("the level can be set though no setting allows it")
	}
	set := LevelSetter(true, level, log)
	for _, test := range []struct {
		to   string
		want zapcore.Level
		ok   bool
	}{
		{"debug", zapcore.DebugLevel, true},
		{"debug", zapcore.DebugLevel, true},
		{"loud", zapcore.DebugLevel, false},
		{"-1", zapcore.DebugLevel, false},
		{"error", zapcore.ErrorLevel, true},
		{"4", zapcore.DebugLevel, true},
		{"3", zapcore.InfoLevel, true},
		{"0", zapcore.InfoLevel, true},
	} {
		if err := set(test.to); (err == nil) != test.ok || level.Level() != test.want {
			t.Errorf("%q: %v, the level is %v, want %v", test.to, err, level, test.want)
		}
	}
	if n := seen.FilterMessage("the log level is changed").Len(); n != 4 {
		t.Errorf("%d of 4 changes are logged", n)
	}
}
