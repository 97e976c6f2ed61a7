package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// serve starts a handler. The first line that the agent prints says its address. end waits for the
// agent.
func serve(ctx context.Context, agent, file string) (address string, end func(), err error) {
	cmd := exec.CommandContext(ctx, agent, "run", "--listen", "127.0.0.1:0", file)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return "", nil, err
	}
	if err := cmd.Start(); err != nil {
		return "", nil, err
	}
	lines := bufio.NewReader(stderr)
	line, err := lines.ReadString('\n')
	address, found := strings.CutPrefix(strings.TrimSpace(line), "http://")
	if err != nil || !found {
		_ = cmd.Process.Kill()
		_, _ = io.Copy(os.Stderr, lines)
		return "", nil, errors.Join(fmt.Errorf("starting %s: its first line is %q", agent, line), err, cmd.Wait())
	}
	copied := make(chan struct{})
	go func() {
		defer close(copied)
		_, _ = io.Copy(os.Stderr, lines)
	}()
	return address, func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		<-copied
		_ = cmd.Wait()
	}, nil
}

// plainServer is net/http with a handler that answers as the kitchen does.
func plainServer(secure bool) *httptest.Server {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		_, _ = io.WriteString(w, "hello\n")
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetHTTP1(true)
	if secure {
		server.Config.Protocols.SetHTTP2(true)
		server.EnableHTTP2 = true
		server.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
		server.StartTLS()
		return server
	}
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	return server
}
