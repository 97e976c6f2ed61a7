package logging

import (
	"bytes"
	"encoding/json"
	"errors"
	"log"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"k8s.io/klog/v2"
)

func TestLogJSON(t *testing.T) {
	var out bytes.Buffer
	logger, _ := New(zapcore.InfoLevel, JSON, &out)
	logger.Warn("hello", zap.String("pod", "p"), zap.Duration("took", 1500*time.Millisecond))
	var line map[string]any
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatalf("%v: %s", err, out.String())
	}
	if line["level"] != "warn" || line["message"] != "hello" || line["pod"] != "p" || line["took"] != "1.5s" {
		t.Errorf("got %v", line)
	}
	if stamp, _ := line["time"].(string); !isRFC3339(stamp) {
		t.Errorf("time %q", stamp)
	}
}

func TestLogConsole(t *testing.T) {
	var out bytes.Buffer
	logger, _ := New(zapcore.InfoLevel, Console, &out)
	logger.Info("hello", zap.String("pod", "p"))
	m := regexp.MustCompile(`^(\S+) INFO hello \{"pod": "p"\}\n$`).FindStringSubmatch(out.String())
	if m == nil || !isRFC3339(m[1]) {
		t.Errorf("got %q", out.String())
	}
}

func isRFC3339(stamp string) bool {
	_, err := time.Parse(time.RFC3339, stamp)
	return err == nil
}

func TestLogLevel(t *testing.T) {
	var out bytes.Buffer
	logger, level := New(zapcore.WarnLevel, JSON, &out)
	logger.Info("not seen")
	level.SetLevel(zapcore.DebugLevel)
	logger.Debug("seen")
	if got := out.String(); strings.Contains(got, "not seen") || !strings.Contains(got, `"seen"`) {
		t.Errorf("got %s", got)
	}
}

// TestLibraryLogs: nothing from client-go or net/http reaches standard error in a form of its own.
func TestLibraryLogs(t *testing.T) {
	var out bytes.Buffer
	logger, _ := New(zapcore.InfoLevel, JSON, &out)
	undo := BridgeLibraries(logger)
	klog.InfoS("structured", "pod", "p")
	klog.Warningf("printed %d", 1)
	klog.ErrorS(errors.New("cause"), "failed")
	klog.V(4).InfoS("detail")
	klog.Background().Info("contextual")
	log.Print("http: panic serving")
	undo()

	levels := map[string]string{}
	for line := range strings.Lines(out.String()) {
		var entry map[string]any
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Fatalf("not JSON: %s", line)
		}
		levels[entry["message"].(string)] = entry["level"].(string)
	}
	for message, level := range map[string]string{
		"structured": "info", "printed 1": "info", "failed": "error", "detail": "", "contextual": "info", "http: panic serving": "warn",
	} {
		if levels[message] != level {
			t.Errorf("%q came out at level %q, want %q", message, levels[message], level)
		}
	}
}

// TestLibraryLogsAreLimited: if a server is unreachable for a long time, the log does not fill the
// disk.
func TestLibraryLogsAreLimited(t *testing.T) {
	var out bytes.Buffer
	logger, _ := New(zapcore.InfoLevel, JSON, &out)
	defer BridgeLibraries(logger)()
	for range 1000 {
		klog.ErrorS(errors.New("connection refused"), "Unable to write event")
		logger.Info("our own")
	}
	if n := strings.Count(out.String(), "Unable to write event"); n == 0 || n > 2*libraryFirst {
		t.Errorf("%d lines of client-go's", n)
	}
	if n := strings.Count(out.String(), "our own"); n != 1000 {
		t.Errorf("%d lines of ours, want all 1000", n)
	}
}
