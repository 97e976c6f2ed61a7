package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// figures are what was measured.
type figures struct {
	perSecond float64
	p50, p99  time.Duration
	memory    float64 // MiB
}

// measure starts the server, warms it, and measures it.
func (c contestant) measure(ctx context.Context, s settings) (figures, error) {
	server, err := start(ctx, c.command)
	if err != nil {
		return figures{}, err
	}
	defer server.stop()
	url := server.url + s.path
	if err := check(ctx, url); err != nil {
		return figures{}, err
	}
	if s.warm > 0 {
		if _, err := load(ctx, s, url, s.warm); err != nil {
			return figures{}, err
		}
	}
	f, err := load(ctx, s, url, s.duration)
	f.memory = server.memory()
	return f, err
}

// check makes one request, so that a server that answers errors has no figures.
func check(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return fmt.Errorf("reading the first answer: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("the first answer has the status %d", response.StatusCode)
	}
	return nil
}

func load(ctx context.Context, s settings, url string, duration time.Duration) (figures, error) {
	if s.wrk == "" {
		return ownLoad(ctx, s.clients, url, duration)
	}
	seconds := max(1, int(duration.Round(time.Second)/time.Second))
	out, err := exec.CommandContext(ctx, s.wrk, "-t1", "-c"+strconv.Itoa(s.clients), "-d"+strconv.Itoa(seconds),
		"--latency", url).CombinedOutput()
	if err != nil {
		return figures{}, fmt.Errorf("running wrk: %w: %s", err, out)
	}
	return readWrk(string(out))
}

var (
	wrkRate   = regexp.MustCompile(`Requests/sec: +([0-9.]+)`)
	wrkP50    = regexp.MustCompile(` 50% +(\S+)`)
	wrkP99    = regexp.MustCompile(` 99% +(\S+)`)
	wrkErrors = regexp.MustCompile(`(?m)^ *(?:Non-2xx or 3xx responses|Socket errors):.*$`)
)

// readWrk reads what wrk prints.
func readWrk(out string) (figures, error) {
	if bad := wrkErrors.FindString(out); bad != "" {
		return figures{}, errors.New("wrk says: " + strings.TrimSpace(bad))
	}
	rate := wrkRate.FindStringSubmatch(out)
	if rate == nil {
		return figures{}, errors.New("wrk printed no rate")
	}
	var f figures
	f.perSecond, _ = strconv.ParseFloat(rate[1], 64)
	for expression, to := range map[*regexp.Regexp]*time.Duration{wrkP50: &f.p50, wrkP99: &f.p99} {
		if found := expression.FindStringSubmatch(out); found != nil {
			*to, _ = time.ParseDuration(found[1])
		}
	}
	return f, nil
}

// ownLoad sends requests from goroutines.
func ownLoad(ctx context.Context, clients int, url string, duration time.Duration) (figures, error) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: clients}}
	defer client.CloseIdleConnections()
	began := time.Now()
	took := make([][]time.Duration, clients)
	failed := make([]error, clients)
	var all sync.WaitGroup
	for i := range clients {
		all.Go(func() { took[i], failed[i] = requests(ctx, client, url, began.Add(duration)) })
	}
	all.Wait()
	times := slices.Concat(took...)
	if err := errors.Join(failed...); err != nil || len(times) == 0 {
		return figures{}, errors.Join(errors.New("sending requests failed"), err)
	}
	slices.Sort(times)
	return figures{
		perSecond: float64(len(times)) / time.Since(began).Seconds(),
		p50:       times[len(times)/2],
		p99:       times[len(times)*99/100],
	}, nil
}

// requests sends one request after another until a time.
func requests(ctx context.Context, client *http.Client, url string, until time.Time) (took []time.Duration, err error) {
	for time.Now().Before(until) {
		began := time.Now()
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return nil, err
		}
		response, err := client.Do(request)
		if err != nil {
			return nil, err
		}
		_, err = io.Copy(io.Discard, response.Body)
		_ = response.Body.Close()
		if err != nil {
			return nil, err
		}
		if response.StatusCode != http.StatusOK {
			return nil, fmt.Errorf("an answer has the status %d", response.StatusCode)
		}
		took = append(took, time.Since(began))
	}
	return took, nil
}
