package registry

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// maxManifest is the largest manifest, in bytes: what the distribution specification has registries accept.
const maxManifest = 4 << 20

// errStalled ends a transfer in which nothing comes.
var errStalled = errors.New("nothing came for too long")

// session talks to one repository.
type session struct {
	repo   name.Repository
	client *http.Client
	stall  time.Duration // how long a body may give nothing
}

// open finds out how the registry wants to be spoken to, and authenticates.
func open(ctx context.Context, repo name.Repository, base http.RoundTripper, keys authn.Keychain, stall time.Duration) (*session, error) {
	auth, err := authn.Resolve(ctx, keys, repo)
	if err != nil {
		return nil, fail(nil, err, "credentials for registry %s: %v", repo.RegistryStr(), err)
	}
	t, err := transport.NewWithContext(ctx, repo.Registry, auth, base, []string{repo.Scope(transport.PullScope)})
	if err != nil {
		var answer *transport.Error
		if errors.As(err, &answer) && answer.StatusCode == http.StatusNotFound {
			return nil, fail(nil, err, "%s is no registry: it answers 404 at /v2/", repo.RegistryStr())
		}
		return nil, registryFailure(repo.RegistryStr(), repo.RepositoryStr(), err)
	}
	return &session{repo: repo, client: &http.Client{Transport: t}, stall: stall}, nil
}

// get requests something of the repository. The response's body must be closed.
func (s *session) get(ctx context.Context, kind, id, accept string) (*http.Response, error) {
	at := url.URL{Scheme: s.repo.Scheme(), Host: s.repo.RegistryStr(), Path: "/v2/" + s.repo.RepositoryStr() + "/" + kind + "/" + id}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return nil, err
	}
	if accept != "" {
		req.Header.Set("Accept", accept)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, err
	}
	if err := transport.CheckError(resp, http.StatusOK); err != nil {
		_ = resp.Body.Close()
		return nil, err
	}
	return resp, nil
}

// manifest fetches what id, a tag or a digest, names. It returns the manifest, its digest, and what the registry calls it.
func (s *session) manifest(ctx context.Context, id string) (data []byte, digest, contentType string, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, 2*s.stall, errStalled)
	defer cancel()
	host, subject := s.repo.RegistryStr(), s.repo.RepositoryStr()+" "+id
	resp, err := s.get(ctx, "manifests", id, acceptedManifests)
	if err != nil {
		return nil, "", "", registryFailure(host, subject, err)
	}
	defer func() { _ = resp.Body.Close() }()
	data, err = io.ReadAll(io.LimitReader(resp.Body, maxManifest+1))
	if err != nil {
		return nil, "", "", registryFailure(host, subject, err)
	}
	if len(data) > maxManifest {
		return nil, "", "", fail(ErrTooLarge, nil, "the manifest of %s in registry %s has more than %d bytes", subject, host, maxManifest)
	}
	sum := sha256.Sum256(data)
	digest = "sha256:" + hex.EncodeToString(sum[:])
	if digestForm.MatchString(id) && id != digest {
		return nil, "", "", fail(ErrDigestMismatch, nil, "registry %s answers for manifest %s with one of digest %s", host, id, digest)
	}
	return data, digest, resp.Header.Get("Content-Type"), nil
}

// blob passes the layer's bytes to take, which must read them to their end and check them.
func (s *session) blob(ctx context.Context, layer v1.Descriptor, take func(io.Reader) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	host, id := s.repo.RegistryStr(), layer.Digest.String()
	subject := s.repo.RepositoryStr() + " " + id
	resp, err := s.get(ctx, "blobs", id, "")
	if err != nil {
		return registryFailure(host, subject, err)
	}
	defer func() { _ = resp.Body.Close() }()
	if n := resp.ContentLength; n >= 0 && n != layer.Size {
		return fail(ErrDigestMismatch, nil, "registry %s offers module %s with %d bytes; its manifest says %d", host, id, n, layer.Size)
	}
	body := &watchedBody{body: resp.Body, stall: s.stall}
	body.timer = time.AfterFunc(s.stall, func() { cancel(errStalled) })
	defer body.timer.Stop()
	err = take(body)
	if err != nil && body.err != nil {
		if cause := context.Cause(ctx); cause != nil {
			body.err = cause
		}
		return fail(nil, body.err, "registry %s, fetching %s: %s after %d of %d bytes", host, subject, withoutQuery(body.err), body.n, layer.Size)
	}
	return err
}

// watchedBody puts the stall timer back with each read, and keeps the error that ended the transfer.
type watchedBody struct {
	body  io.Reader
	timer *time.Timer
	stall time.Duration
	n     int64
	err   error // other than io.EOF
}

func (b *watchedBody) Read(p []byte) (int, error) {
	n, err := b.body.Read(p)
	b.n += int64(n)
	if n > 0 {
		b.timer.Reset(b.stall)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		b.err = err
	}
	return n, err
}
