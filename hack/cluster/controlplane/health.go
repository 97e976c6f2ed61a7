package controlplane

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// healthCheck makes a check: a GET of url must answer 200. The check trusts only the authority in
// the file ca of the pki folder, and shows the certificate named client.
func healthCheck(pki, ca, client, url string) (func(context.Context) error, error) {
	roots := x509.NewCertPool()
	authority, err := os.ReadFile(filepath.Join(pki, ca+".crt"))
	if err != nil {
		return nil, err
	}
	if !roots.AppendCertsFromPEM(authority) {
		return nil, fmt.Errorf("no certificate in %s.crt", ca)
	}
	pair, err := tls.LoadX509KeyPair(filepath.Join(pki, client+".crt"), filepath.Join(pki, client+".key"))
	if err != nil {
		return nil, err
	}
	caller := &http.Client{
		Timeout: 5 * time.Second,
		Transport: &http.Transport{
			// No proxy: the address is on this machine.
			TLSClientConfig:   &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12},
			DisableKeepAlives: true,
		},
	}
	return func(ctx context.Context) error { return get(ctx, caller, url) }, nil
}

func get(ctx context.Context, client *http.Client, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(response.Body, 1024))
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s: %s", url, response.Status, body)
	}
	return nil
}

// waitHealthy waits until all components in waited pass their health checks. It fails as soon as a
// component in launched has exited.
func waitHealthy(ctx context.Context, launched, waited []*component) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for _, c := range waited {
		for {
			err := c.healthy(ctx)
			for _, other := range launched {
				if died := other.died(); died != nil {
					return other.failed(died)
				}
			}
			if err == nil {
				break
			}
			select {
			case <-ctx.Done():
				if errors.Is(ctx.Err(), context.DeadlineExceeded) {
					return c.failed(fmt.Errorf("nothing but this for %v: %w", startTimeout, err))
				}
				return ctx.Err()
			case <-time.After(probeInterval):
			}
		}
	}
	return nil
}
