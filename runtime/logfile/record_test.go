package logfile

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	const stamp = "2026-01-02T15:04:05.000000001Z"
	for _, tt := range []struct {
		name, line string
		stream     int
		partial    bool
		text       string
		bad        bool
	}{
		{name: "full", line: stamp + " stdout F hello", text: "hello"},
		{name: "partial", line: stamp + " stderr P half", stream: stderr, partial: true, text: "half"},
		{name: "empty text", line: stamp + " stdout F "},
		{name: "empty text, trimmed", line: stamp + " stdout F"},
		{name: "spaces kept", line: stamp + " stdout F  a  b ", text: " a  b "},
		{name: "more tags", line: stamp + " stdout P:x:y a", partial: true, text: "a"},
		{name: "no fraction", line: "2026-01-02T15:04:05Z stdout F a", text: "a"},
		{name: "local zone", line: "2026-01-02T15:04:05.1+07:00 stdout F a", text: "a"},
		{name: "binary", line: stamp + " stdout F \x00\xff\r", text: "\x00\xff\r"},
		{name: "long", line: stamp + " stdout F " + strings.Repeat("x ", 9000), text: strings.Repeat("x ", 9000)},
		{name: "nothing", line: "", bad: true},
		{name: "plain text", line: "hello world", bad: true},
		{name: "json", line: `{"log":"a\n","stream":"stdout"}`, bad: true},
		{name: "other stream", line: stamp + " stdin F a", bad: true},
		{name: "other stream of that length", line: stamp + " stdlog F a", bad: true},
		{name: "other tag", line: stamp + " stdout X a", bad: true},
		{name: "tag torn off", line: stamp + " stdout ", bad: true},
		{name: "header torn off", line: "2026-01-02T15:04:05.0000", bad: true},
		{name: "empty fraction", line: "2026-01-02T15:04:05.Z stdout F a", bad: true},
		{name: "no zone", line: "2026-01-02T15:04:05.1 stdout F a", bad: true},
		{name: "two spaces", line: stamp + "  stdout F a", bad: true},
		{name: "endless tag", line: stamp + " stdout F:" + strings.Repeat("x", 9000), bad: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rec, ok := parse([]byte(tt.line))
			if ok == tt.bad {
				t.Fatalf("parse(%q) taken as a record: %v", tt.line, ok)
			}
			if tt.bad {
				return
			}
			if rec.stream != tt.stream || rec.partial != tt.partial || string(rec.text) != tt.text {
				t.Errorf("parse(%q) = stream %d, partial %v, text %q", tt.line, rec.stream, rec.partial, rec.text)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("2026-01-02T15:04:05.000000001Z stdout F hello"))
	f.Add([]byte("2026-01-02T15:04:05+01:00 stderr P:a "))
	f.Add([]byte("2026-01-02T15:04:05Z stdout F"))
	f.Fuzz(func(t *testing.T, line []byte) {
		rec, ok := parse(line)
		if !ok {
			return
		}
		if !bytes.HasPrefix(line, rec.stamp) || !bytes.HasSuffix(line, rec.text) {
			t.Errorf("parse(%q): stamp %q and text %q are not its ends", line, rec.stamp, rec.text)
		}
		if head := len(line) - len(rec.text); head > maxHeader+1 {
			t.Errorf("parse(%q): a header of %d bytes", line, head)
		}
	})
}

func TestStampClock(t *testing.T) {
	var c stampClock
	start := time.Date(2026, 12, 31, 23, 59, 58, 999999999, time.FixedZone("", 7*3600))
	for _, after := range []time.Duration{0, 1, time.Millisecond, 1234567890, time.Hour, -time.Hour} {
		now := start.Add(after)
		c.read(now)
		if want := now.UTC().Format(timeLayout); string(c.stamp[:]) != want {
			t.Errorf("stamp %s, want %s", c.stamp, want)
		}
	}
}
