package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/krustlet-go/krustlet-wasi/hack/guests/wasinet"
)

// words reads a command line whose flags may be joined and may come anywhere. valued are the flags
// that have a value; a long flag is with its dashes.
func words(args []string, valued ...string) (flags map[string][]string, others []string) {
	flags = map[string][]string{}
	for i := 0; i < len(args); i++ {
		arg := args[i]
		if len(arg) < 2 || arg[0] != '-' {
			others = append(others, arg)
			continue
		}
		names := []string{arg}
		if arg[1] != '-' {
			names = letters(arg[1:], valued)
		}
		for n, name := range names {
			name, value, has := strings.Cut(name, "=")
			if !has && n == len(names)-1 && slices.Contains(valued, name) && i+1 < len(args) {
				i++
				value = args[i]
			}
			flags[name] = append(flags[name], value)
		}
	}
	return flags, others
}

// letters splits joined flags of one letter. What follows a flag with a value is its value.
func letters(joined string, valued []string) (names []string) {
	for i, letter := range joined {
		name := "-" + string(letter)
		if rest := joined[i+1:]; rest != "" && slices.Contains(valued, name) {
			return append(names, name+"="+rest)
		}
		names = append(names, name)
	}
	return names
}

func last(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[len(values)-1]
}

func seconds(values ...string) time.Duration {
	for _, value := range values {
		if n, err := strconv.ParseFloat(value, 64); err == nil {
			return time.Duration(n * float64(time.Second))
		}
	}
	return 0
}

// Exit codes of curl.
const (
	curlNoName     = 6
	curlNoConnect  = 7
	curlRefusedBy  = 22
	curlTooLate    = 28
	curlBadCommand = 2
)

func curl(ctx context.Context, c call) int {
	flags, urls := words(c.args[1:], "-o", "-w", "-X", "-H", "-d", "-m", "--max-time", "--connect-timeout", "--retry", "--write-out", "--interface")
	if len(urls) != 1 {
		c.errorf("a URL is needed")
		return curlBadCommand
	}
	ctx, stop := within(ctx, seconds(last(flags["-m"]), last(flags["--max-time"])))
	defer stop()
	url := urls[0]
	if !strings.Contains(url, "://") {
		url = "http://" + url
	}
	method, body := "GET", io.Reader(nil)
	if data, has := flags["-d"]; has {
		method, body = "POST", strings.NewReader(last(data))
	}
	if given := last(flags["-X"]); given != "" {
		method = given
	}
	request, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		c.errorf("%v", err)
		return curlBadCommand
	}
	for _, line := range flags["-H"] {
		key, value, _ := strings.Cut(line, ":")
		request.Header.Add(key, strings.TrimSpace(value))
		if strings.EqualFold(key, "host") {
			request.Host = strings.TrimSpace(value)
		}
	}
	client := httpClient(seconds(last(flags["--connect-timeout"])))
	if _, follow := flags["-L"]; !follow {
		client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	}
	if _, any := flags["-k"]; any {
		client.Transport.(*http.Transport).TLSClientConfig = &tls.Config{InsecureSkipVerify: true}
	}
	return curlSend(c, client, request, flags)
}

func curlSend(c call, client *http.Client, request *http.Request, flags map[string][]string) int {
	format := last(flags["-w"]) + last(flags["--write-out"])
	say := func(code int) {
		fmt.Fprint(c.stdout, strings.NewReplacer("%{http_code}", fmt.Sprintf("%03d", code), `\n`, "\n").Replace(format))
	}
	response, err := client.Do(request)
	if err != nil {
		say(0)
		if _, silent := flags["-s"]; !silent {
			c.errorf("%v", err)
		}
		switch kindOf(err) {
		case "DNS":
			return curlNoName
		case "TIMEOUT":
			return curlTooLate
		}
		return curlNoConnect
	}
	defer func() { _ = response.Body.Close() }()
	to := c.stdout
	switch name := last(flags["-o"]); name {
	case "":
	case "/dev/null":
		to = io.Discard
	default:
		file, err := os.Create(c.path(name))
		if err != nil {
			return c.errorf("%v", err)
		}
		defer func() { _ = file.Close() }()
		to = file
	}
	if _, head := flags["-i"]; head {
		fmt.Fprintf(to, "%s %s\r\n", response.Proto, response.Status)
		_ = response.Header.Write(to)
		fmt.Fprint(to, "\r\n")
	}
	if _, err := io.Copy(to, response.Body); err != nil {
		c.errorf("%v", err)
		return curlTooLate
	}
	say(response.StatusCode)
	if _, strict := flags["-f"]; strict && response.StatusCode >= http.StatusBadRequest {
		return curlRefusedBy
	}
	return 0
}

func wget(ctx context.Context, c call) int {
	flags, urls := words(c.args[1:], "-O", "-T", "-t", "--timeout", "--tries")
	if len(urls) != 1 {
		return c.errorf("a URL is needed")
	}
	url := urls[0]
	if !strings.Contains(url, "://") {
		url = "http://" + url
	}
	client := httpClient(0)
	client.Timeout = seconds(last(flags["-T"]), last(flags["--timeout"]))
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return c.errorf("%v", err)
	}
	response, err := client.Do(request)
	if err != nil {
		return c.errorf("%v", err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode >= http.StatusBadRequest {
		return c.errorf("server returned error: %s", response.Status)
	}
	to := io.Discard
	if name := last(flags["-O"]); name == "-" {
		to = c.stdout
	}
	if _, err := io.Copy(to, response.Body); err != nil {
		return c.errorf("%v", err)
	}
	return 0
}

// nc sends its input to a port, and prints what comes back. -z only connects.
func nc(ctx context.Context, c call) int {
	flags, where := words(c.args[1:], "-w", "-p", "-s")
	if len(where) != 2 {
		return c.errorf("a host and a port are needed")
	}
	to, patience := net.JoinHostPort(where[0], where[1]), seconds(last(flags["-w"]))
	ctx, stop := within(ctx, patience)
	defer stop()
	_, udp := flags["-u"]
	conn, err := wasinet.DialContext(ctx, map[bool]string{true: "udp", false: "tcp"}[udp], to)
	if err != nil {
		return c.errorf("%v", err)
	}
	defer func() { _ = conn.Close() }()
	if _, verbose := flags["-v"]; verbose {
		fmt.Fprintf(c.stderr, "Connection to %s port succeeded!\n", to)
	}
	if _, only := flags["-z"]; only {
		return 0
	}
	if _, err := bufio.NewReader(c.stdin).WriteTo(conn); err != nil {
		return c.errorf("%v", err)
	}
	if half, is := conn.(interface{ CloseWrite() error }); is && !udp {
		_ = half.CloseWrite() // the other end may have closed the connection
	}
	if patience > 0 {
		if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
			return c.errorf("%v", err)
		}
	}
	// Silence for so long ends nc without an error.
	if _, err := io.Copy(c.stdout, conn); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		return c.errorf("%v", err)
	}
	return 0
}
