package probe

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// Limits of a kubelet's HTTP probes.
const (
	bodyLimit     = 10 << 10
	redirectLimit = 10
)

// How a kubelet of this version names itself in its requests.
const (
	probeAgent     = "kube-probe/1.36"
	lifecycleAgent = "kube-lifecycle/1.36"
)

func httpGet(ctx context.Context, get *corev1.HTTPGetAction, c *corev1.Container, host string, timeout time.Duration) (Result, error) {
	request, err := newRequest(ctx, get, c, host, probeAgent)
	if err != nil {
		return Result{}, err
	}
	response, err := newClient(timeout).Do(request)
	if err != nil {
		return failed("%v", err), nil
	}
	defer func() { _ = response.Body.Close() }() // the body was only read
	body, err := io.ReadAll(io.LimitReader(response.Body, bodyLimit))
	switch {
	case err != nil:
		return failed("%v", err), nil
	case response.StatusCode < 200 || response.StatusCode >= 400:
		return failed("HTTP probe failed with statuscode: %d", response.StatusCode), nil
	case response.StatusCode >= 300:
		return Result{OK: true, Warning: true, Output: "Probe terminated redirects, Response body: " + string(body)}, nil
	}
	return Result{OK: true, Output: string(body)}, nil
}

// Hook makes the request of a lifecycle hook. Every response is a success. If Hook asks a server
// over HTTPS and the server speaks only HTTP, it asks again over HTTP. Then plain is the address of
// that server. Otherwise plain is empty.
func Hook(ctx context.Context, get *corev1.HTTPGetAction, c *corev1.Container, host string) (plain string, err error) {
	request, err := newRequest(ctx, get, c, host, lifecycleAgent)
	if err != nil {
		return "", err
	}
	err = send(request)
	if errors.Is(err, http.ErrSchemeMismatch) {
		request.URL.Scheme = "http"
		request.Header.Del("Authorization")
		if err = send(request); err == nil {
			plain = request.URL.Host
		}
	}
	return plain, err
}

func send(request *http.Request) error {
	response, err := newClient(0).Do(request)
	if err != nil {
		return err
	}
	// The content of the body does not matter.
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, bodyLimit))
	return response.Body.Close()
}

// newClient makes a client for one request. It uses no proxy, verifies no certificate, and does not
// follow a redirect to another host.
func newClient(timeout time.Duration) *http.Client {
	return &http.Client{
		Timeout: timeout,
		Transport: &http.Transport{
			DialContext:        dialer().DialContext,
			TLSClientConfig:    &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // as Kubernetes defines probes
			DisableKeepAlives:  true,
			DisableCompression: true,
		},
		CheckRedirect: func(next *http.Request, via []*http.Request) error {
			if next.URL.Hostname() != via[0].URL.Hostname() {
				return http.ErrUseLastResponse
			}
			if len(via) >= redirectLimit {
				return fmt.Errorf("stopped after %d redirects", redirectLimit)
			}
			return nil
		},
	}
}

func newRequest(ctx context.Context, get *corev1.HTTPGetAction, c *corev1.Container, host, agent string) (*http.Request, error) {
	port, err := Port(get.Port, c)
	if err != nil {
		return nil, err
	}
	to, err := url.Parse(get.Path)
	if err != nil {
		to = &url.URL{Path: get.Path}
	}
	if get.Host != "" {
		host = get.Host
	}
	to.Scheme, to.Host = "http", join(host, port)
	if get.Scheme != "" {
		to.Scheme = strings.ToLower(string(get.Scheme))
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, to.String(), nil)
	if err != nil {
		return nil, err
	}
	for _, h := range get.HTTPHeaders {
		request.Header.Add(h.Name, h.Value)
	}
	setUnlessGiven(request.Header, "User-Agent", agent)
	setUnlessGiven(request.Header, "Accept", "*/*")
	if request.Header.Get("Accept") == "" { // the probe has the header, with an empty value
		request.Header.Del("Accept")
	}
	if name := request.Header.Get("Host"); name != "" {
		request.Host = name
	}
	return request, nil
}

func setUnlessGiven(h http.Header, name, value string) {
	if _, ok := h[name]; !ok {
		h.Set(name, value)
	}
}
