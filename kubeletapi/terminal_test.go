package kubeletapi

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"k8s.io/client-go/tools/remotecommand"

	"github.com/krustlet-go/krustlet-wasi/hack/authority"
)

// typed returns what a guest reads and what the user sees when these keys are typed.
func typed(keys io.Reader) (read, shown string, interrupts int) {
	var echo bytes.Buffer
	k := newKeyboard(nil, &screen{w: &echo}, func() { interrupts++ })
	k.take(keys)
	text, _ := io.ReadAll(k) // it never returns an error
	return string(text), echo.String(), interrupts
}

func TestKeyboard(t *testing.T) {
	for _, test := range []struct{ name, keys, read, shown string }{
		{"lines", "one\rtwo\n", "one\ntwo\n", "one\r\ntwo\r\n"},
		{"no end of the line", "one", "one", "one"},
		{"backspace", "hallo\x7f\x08\x08\x08ello\r", "hello\n", "hallo\b \b\b \b\b \b\b \bello\r\n"},
		{"backspace at the beginning", "a\r\x7fb\r", "a\nb\n", "a\r\nb\r\n"},
		{"a character of several bytes", "häu\x7f\x7fi\r", "hi\n", "häu\b \b\b \bi\r\n"},
		{"a line taken back", "no\x15yes\r", "yes\n", "no\b \b\b \byes\r\n"},
		{"a key without a character", "\x1b[A\x7f\x7f\x7f\r", "\n", "^[[A\b \b\b \b\b \b\b \b\r\n"},
		{"a tab", "a\tb\r", "a\tb\n", "a\tb\r\n"},
		{"the end of the input", "a\r\x04b\r", "a\n", "a\r\nb\r\n"},
		{"a line without its end", "a\x04b\r", "ab\n", "ab\r\n"},
		{"an interrupt", "a\x03b\r", "b\n", "a^C\r\nb\r\n"},
	} {
		read, shown, interrupts := typed(strings.NewReader(test.keys))
		if read != test.read || shown != test.shown || interrupts != strings.Count(test.keys, "\x03") {
			t.Errorf("%s: a guest reads %q, the user sees %q (%d interrupts)", test.name, read, shown, interrupts)
		}
	}
}

// TestKeyboardIsBounded: memory is bounded if a guest does not read, or a line does not end.
func TestKeyboardIsBounded(t *testing.T) {
	read, _, _ := typed(io.LimitReader(endlessLines{}, 3*keysKept))
	if len(read) < keysKept-100 || len(read) > keysKept+1 {
		t.Errorf("%d bytes of lines", len(read))
	}
	read, _, _ = typed(io.LimitReader(zeros{}, 3*keysKept))
	if len(read) != keysKept {
		t.Errorf("%d bytes of one line", len(read))
	}
}

type endlessLines struct{}

func (endlessLines) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
		if i%50 == 0 {
			p[i] = '\r'
		}
	}
	return len(p), nil
}

// FuzzKeyboard: keys that do not edit arrive as they were typed. Keys that edit cause no crash.
func FuzzKeyboard(f *testing.F) {
	for _, seed := range []string{"", "hello\r", "a\x7f\x7f\x15\x04\x03\x1b", "ä\x7f\xff\x7f"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, keys string) {
		read, _, _ := typed(strings.NewReader(keys))
		if strings.ContainsAny(keys, "\x03\x04\x08\x15\x7f") || len(keys) > keysKept {
			return
		}
		if want := strings.ReplaceAll(keys, "\r", "\n"); read != want {
			t.Errorf("%q is read as %q", keys, read)
		}
	})
}

// TestExecTerminal: a user at a terminal exchanges lines with a command.
func TestExecTerminal(t *testing.T) {
	for name := range (&running{}).protocols() {
		t.Run(name, func(t *testing.T) {
			server := runServer(t, authority.New(t, "ca"), nil)
			remote := server.protocols()[name]
			var screen bytes.Buffer
			err := remote(t, "/exec/ns/p/c?command=a&output=1&input=1&tty=1").StreamWithContext(t.Context(),
				remotecommand.StreamOptions{Stdin: strings.NewReader("hi\r"), Stdout: &screen, Tty: true})
			got := strings.Replace(screen.String(), "hi\r\n", "", 1) // the echo, which may come at any time
			if err != nil || got != "ns/p//c [a]\r\nhi\r\n" {
				t.Errorf("%q, %v", screen.String(), err)
			}
		})
	}
}

// TestExecInterrupted: Ctrl-C ends the command, even if the command does not read.
func TestExecInterrupted(t *testing.T) {
	for name := range (&running{}).protocols() {
		t.Run(name, func(t *testing.T) {
			command, ended := waiting()
			server := runServer(t, authority.New(t, "ca"), func(c *Config) { c.Execs = command })
			remote := server.protocols()[name]
			keys, user := io.Pipe()
			defer user.Close()
			go func() { _, _ = user.Write([]byte("\x03")) }()
			err := remote(t, "/exec/ns/p/c?command=a&output=1&input=1&tty=1").StreamWithContext(t.Context(),
				remotecommand.StreamOptions{Stdin: keys, Stdout: io.Discard, Tty: true})
			if err == nil || !strings.Contains(err.Error(), "exit code 130") {
				t.Errorf("the client was told %v", err)
			}
			if err := <-ended; !errors.Is(err, errInterrupt) {
				t.Errorf("the command ended for %v", err)
			}
		})
	}
}
