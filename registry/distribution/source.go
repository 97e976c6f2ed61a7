package distribution

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/krustlet-go/krustlet-wasi/registry/credentials"
	"github.com/krustlet-go/krustlet-wasi/registry/fault"
)

// source is a server that has the repository, and the credentials for it.
type source struct {
	endpoint
	repo  name.Repository
	keys  []credentials.Credential // in the order in which they are tried; empty: no credential is sent
	stall time.Duration            // how long a body may bring no data

	mu     sync.Mutex
	client *http.Client // nil until a credential was accepted
	shown  credentials.Credential
}

func (p *source) credential() credentials.Credential {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.shown
}

// try calls do with one credential after the other until one is accepted. It uses that one from
// then on.
func (p *source) try(ctx context.Context, do func(*http.Client) error) error {
	p.mu.Lock()
	client := p.client
	p.mu.Unlock()
	if client != nil {
		return do(client)
	}
	keys := p.keys
	if len(keys) == 0 {
		keys = []credentials.Credential{{}}
	}
	var err error
	for _, c := range keys {
		if client, err = p.login(ctx, c); err == nil {
			err = do(client)
		}
		// Some registries answer 404 for content that a client may not see.
		if errors.Is(err, fault.ErrUnauthorized) || errors.Is(err, fault.ErrNotFound) {
			continue
		}
		if err == nil {
			p.mu.Lock()
			p.client, p.shown = client, c
			p.mu.Unlock()
		}
		return err
	}
	return err
}

// login finds out which authentication the registry wants, and sends the credential.
func (p *source) login(ctx context.Context, c credentials.Credential) (*http.Client, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, 2*p.stall, errSlowAnswer)
	defer cancel()
	t, err := transport.NewWithContext(ctx, p.repo.Registry, c.Auth(), p.Transport, []string{p.repo.Scope(transport.PullScope)})
	if err == nil {
		return &http.Client{Transport: t, CheckRedirect: fewRedirects}, nil
	}
	err = causeOf(ctx, err)
	var answer *transport.Error
	if errors.As(err, &answer) && answer.StatusCode == http.StatusNotFound {
		return nil, fault.New(nil, err, "%s is no registry: it answers 404 at /v2/", p.repo.RegistryStr())
	}
	return nil, fault.OfRegistry(p.repo.RegistryStr(), p.repo.RepositoryStr(), err)
}

// maxRedirects is how many redirects one request may follow. Registries use one.
const maxRedirects = 5

func fewRedirects(_ *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return fault.New(nil, nil, "it was sent on more than %d times", maxRedirects)
	}
	return nil
}
