package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/krustlet-go/krustlet-wasi/hack/guests"
	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasmtime"
)

// standIn is a command that behaves as the module's name says. For args.wasm it prints its
// arguments.
const standIn = `
while [ $# -gt 0 ]; do
	case $1 in
		--env) env=$2; shift 2;;
		--dir) dir=$2; shift 2;;
		--argv0|--egress) shift 2;;
		*) break;;
	esac
done
case $(basename $1) in
	passes.wasm) exit 0;;
	fails.wasm) echo "it is broken" >&2; exit 3;;
	exits.wasm) exit 33;;
	args.wasm) shift; printf '%s ' "$env" "$@";;
	writes.wasm) cat ${dir%::/}/seed; echo more > ${dir%::/}/made;;
	echo.wasm) echo ready; cat;;
	hangs.wasm) exec sleep 1000;;
esac
`

func suite(t *testing.T, files map[string]string) (dir, command string) {
	t.Helper()
	dir = t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	script := filepath.Join(t.TempDir(), "run.sh")
	if err := os.WriteFile(script, []byte(standIn), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir, "sh " + script
}

// TestServers: the servers that a program needs answer as its file says.
func TestServers(t *testing.T) {
	var s specification
	text := `{"servers": [{"name": "main", "endpoints": [{"method": "POST", "path": "/a?b", "mode": "echo-body"},
		{"method": "GET", "path": "/c", "response": {"status": 201, "chunks": ["x", "y"], "trailers": {"z": "1"}}}]}, {"name": "dead", "kind": "closed"}]}`
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		t.Fatal(err)
	}
	env, stop, err := s.serve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	ask := func(method, path, body string) (int, string, http.Header) {
		r, err := http.NewRequestWithContext(t.Context(), method, "http://"+env["HTTP_SERVER_MAIN"]+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = answer.Body.Close() }()
		b, _ := io.ReadAll(answer.Body)
		return answer.StatusCode, string(b), answer.Trailer
	}
	if code, body, _ := ask("POST", "/a?b", "text"); code != 200 || body != "text" {
		t.Errorf("echo: %d %q", code, body)
	}
	if code, body, trailer := ask("GET", "/c", ""); code != 201 || body != "xy" || trailer.Get("z") != "1" {
		t.Errorf("chunks: %d %q %v", code, body, trailer)
	}
	if code, _, _ := ask("GET", "/a?b", ""); code != 404 {
		t.Errorf("another method: %d", code)
	}
	if c, err := net.Dial("tcp", env["HTTP_SERVER_DEAD"]); err == nil {
		_ = c.Close()
		t.Error("the closed server accepts")
	}
}

func TestTool(t *testing.T) {
	dir, command := suite(t, map[string]string{
		"manifest.json": `{"name": "the suite"}`,
		"passes.wasm":   "", "fails.wasm": "",
		"exits.wasm": "", "exits.json": `{"exit_code": 33}`,
		"args.wasm": "", "args.json": `{"operations": [{"type": "run", "args": ["a", "b"], "env": {"K": "V"}}, {"type": "read", "payload": "K=V a b "}, {"type": "wait"}]}`,
		"writes.wasm": "", "writes.json": `{"root": "files", "stdout": "seed\n"}`, "files/seed": "seed\n",
		"hangs.wasm":   "",
		"unknown.wasm": "", "unknown.json": `{"operations": [{"type": "run"}, {"type": "sing"}]}`,
		"wrong.wasm": "", "wrong.json": `{"stdout": "much"}`,
		"echo.wasm": "", "echo.json": `{"operations": [{"type": "run"}, {"type": "read", "payload": "ready\n"}, {"type": "write", "payload": "first, "},
			{"type": "read", "payload": "first"}, {"type": "write", "payload": "second"}, {"type": "read", "id": "stdout", "payload": ", second"}, {"type": "wait"}]}`,
		"early.wasm": "", "early.json": `{"operations": [{"type": "read", "payload": "x"}]}`,
		"short.wasm": "", "short.json": `{"operations": [{"type": "run"}, {"type": "read", "payload": "x"}, {"type": "wait"}]}`,
		"threads.wasm": "", "threads.json": `{"proposals": ["threads"], "operations": [{"type": "run"}]}`,
	})
	var out, errs bytes.Buffer
	if code := run([]string{"-markdown", "-command", command, "-limit", "2s", dir}, &out, &errs); code != 1 {
		t.Errorf("exit code %d, %s", code, errs.String())
	}
	for program, want := range map[string]string{
		"passes": "pass", "exits": "pass", "args": "pass", "writes": "pass", "fails": "FAIL: exit code 3, want 0: it is broken",
		"hangs": "FAIL: it did not end within 2s", "unknown": `FAIL: operation "sing": ` + errUnknownOperation.Error(),
		"wrong": `FAIL: stdout "", want "much"`, "echo": "pass", "early": `FAIL: operation "read" comes before the program runs`,
		"short": `FAIL: stdout "", want "x"`, "threads": "left out: it needs threads",
	} {
		if row := fmt.Sprintf("| the suite | `%s` | %s |\n", program, want); !strings.Contains(out.String(), row) {
			t.Errorf("no row %s", row)
		}
	}
	if !strings.Contains(out.String(), "12 programs, 5 passed, 6 failed, 1 left out") {
		t.Errorf("no sum in\n%s", out.String())
	}
	if _, err := os.Stat(filepath.Join(dir, "files/made")); err == nil {
		t.Error("a program wrote to the suite itself")
	}
	for _, args := range [][]string{{}, {"-nothing"}, {t.TempDir()}, {filepath.Join(dir, "missing")}} {
		if code := run(args, io.Discard, io.Discard); code != 2 {
			t.Errorf("%q: exit code %d", args, code)
		}
	}
}

// TestConnects: the tool connects to the address that a program names.
func TestConnects(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var server sync.WaitGroup
	server.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.CopyN(c, c, 4)
			_ = c.Close()
		}
	})
	defer server.Wait()
	defer l.Close()
	program := func(operations string) string {
		return fmt.Sprintf(`{"proposals": ["sockets"], "operations": [{"type": "run", "args": [%q]}, %s]}`, l.Addr(), operations)
	}
	const connect, send = `{"type": "connect", "id": "a", "protocol_type": "tcp"}`, `{"type": "send", "id": "a", "payload": "text"}`
	dir, command := suite(t, map[string]string{
		"manifest.json": `{"name": "the suite"}`,
		"args.wasm":     "", "args.json": program(connect + "," + send + `, {"type": "recv", "id": "a", "payload": "text"}, {"type": "wait"}`),
		"wrong/args.wasm": "", "wrong/args.json": program(connect + "," + send + `, {"type": "recv", "id": "a", "payload": "else"}`),
		"other/args.wasm": "", "other/args.json": program(connect + `, {"type": "send", "id": "b", "payload": "text"}`),
		"udp/args.wasm": "", "udp/args.json": program(`{"type": "connect", "protocol_type": "udp"}`),
	})
	for name, want := range map[string]string{
		"": "pass", "wrong": `received "text", want "else"`, "other": `there is no connection "b"`, "udp": `connecting by "udp"`,
	} {
		var out bytes.Buffer
		run([]string{"-command", command, filepath.Join(dir, name)}, &out, io.Discard)
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q: %s, want %s", name, out.String(), want)
		}
	}
}

// TestServesHTTP: a guest written in Go serves many clients at the same time, and ends on request.
func TestServesHTTP(t *testing.T) {
	e, err := wasmtime.New(wasmtime.Config{CacheDir: guests.CacheDir(t), Log: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := free.Addr().String()
	_ = free.Close()
	file := guests.Build(t, "serve")
	p, err := e.Start(t.Context(), runtime.Spec{ID: t.Name(), Module: file, Digest: guests.Digest(t, file), Command: runtime.Command{Args: []string{"serve"}, Listen: []string{addr}},
		Mounts: []runtime.Mount{{Host: t.TempDir(), Guest: "/"}}}, runtime.Streams{})
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Timeout: time.Minute, Transport: &http.Transport{MaxIdleConnsPerHost: 50}}
	var clients sync.WaitGroup
	for i := range 50 {
		clients.Go(func() {
			for k := range 4 {
				path := fmt.Sprintf("/%d/%d", i, k)
				answer, err := client.Get("http://" + addr + path)
				if err != nil {
					t.Error(err)
					return
				}
				body, err := io.ReadAll(answer.Body)
				_ = answer.Body.Close()
				if want := path + " from descriptor 3\n"; string(body) != want || err != nil {
					t.Errorf("%q, %v, want %q", body, err, want)
				}
			}
		})
	}
	clients.Wait()
	p.Stop(time.Minute)
	select {
	case <-p.Done():
	case <-time.After(2 * time.Minute):
		t.Fatal("the guest does not end by itself when its socket is shut")
	}
	if exit := p.Exit(); exit.Code != 0 {
		t.Errorf("exit %+v", exit)
	}
}
