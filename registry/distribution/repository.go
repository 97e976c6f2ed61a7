package distribution

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/krustlet-go/krustlet-wasi/registry/credentials"
	"github.com/krustlet-go/krustlet-wasi/registry/fault"
	"github.com/krustlet-go/krustlet-wasi/registry/manifest"
	"github.com/krustlet-go/krustlet-wasi/runtime/pause"
)

// maxManifest is the largest manifest, in bytes. The distribution specification asks registries to
// accept this size.
const maxManifest = 4 << 20

// minRate is how many bytes a second a transfer must bring, on average over twice the stall time.
// So the time for a blob is at most its size divided by this: 18 hours for 256 MiB.
const minRate = 4 << 10

var (
	// ErrStalled ends a transfer that brings no data for too long.
	ErrStalled = errors.New("nothing came for too long")
	// errSlow ends a transfer that brings too little data. Otherwise a server could hold it open
	// for ever with a byte at a time.
	errSlow = fmt.Errorf("less than %d bytes a second came", minRate)
	// errSlowAnswer ends a request whose answer is not complete in time.
	errSlowAnswer = errors.New("its answer took too long")
)

// Keys finds the credentials for an image in the order in which they must be tried. image is a
// registry and a repository. credentials.Keys implements it.
type Keys interface {
	Lookup(ctx context.Context, image string) ([]credentials.Credential, error)
}

// Repository is one repository of a registry. It asks its sources one after the other for content.
type Repository struct {
	sources []*source
}

// Open finds the sources of a repository, and the credentials for each. keys may be nil; then no
// credentials are used.
func (n *Network) Open(ctx context.Context, repo name.Repository, keys Keys, stall time.Duration) (*Repository, error) {
	endpoints, err := n.Endpoints(repo.Registry)
	if err != nil {
		return nil, err
	}
	s := &Repository{}
	for _, e := range endpoints {
		p := &source{endpoint: e, repo: e.Registry.Repo(strings.Split(repo.RepositoryStr(), "/")...), stall: stall}
		if keys != nil {
			if p.keys, err = keys.Lookup(ctx, repositoryName(p.repo)); err != nil {
				return nil, fault.New(nil, err, "credentials for registry %s: %v", e.Registry.RegistryStr(), err)
			}
		}
		s.sources = append(s.sources, p)
	}
	return s, nil
}

// Identity is equal for repositories for which the same credentials are used.
func (s *Repository) Identity() string {
	hash := sha256.New()
	for _, p := range s.sources {
		for _, c := range p.keys {
			_, _ = fmt.Fprintln(hash, c.Hash())
		}
		_, _ = fmt.Fprintln(hash)
	}
	return hex.EncodeToString(hash.Sum(nil))
}

// Credential is the credential with which the manifest was fetched.
func (s *Repository) Credential() credentials.Credential { return s.sources[0].credential() }

// Manifest fetches the manifest that id, a tag or a digest, names, from the first source that has
// it. It returns the manifest, its digest, and the media type that the registry gives. That source
// comes first from then on, because others may have different content for the same tag. Manifest
// must not run at the same time as other methods.
func (s *Repository) Manifest(ctx context.Context, id string) (data []byte, digest, contentType string, err error) {
	digested := manifest.IsDigest(id)
	at, err := s.each(ctx, func(p *source) (bool, error) {
		if digested && !p.pull || !digested && !p.resolve {
			return false, nil
		}
		return true, p.try(ctx, func(client *http.Client) (err error) {
			data, digest, contentType, err = p.manifest(ctx, client, id)
			return err
		})
	})
	if err != nil {
		return nil, "", "", err
	}
	found := s.sources[at]
	s.sources = append([]*source{found}, slices.Delete(slices.Clone(s.sources), at, at+1)...)
	return data, digest, contentType, nil
}

// Blob passes the content to take, which must read it to its end and check it. It is for small
// content: after a broken transfer it starts again at another source, or fails.
func (s *Repository) Blob(ctx context.Context, content v1.Descriptor, take func(io.Reader) error) error {
	_, err := s.each(ctx, func(p *source) (bool, error) {
		if !p.pull {
			return false, nil
		}
		return true, p.try(ctx, func(client *http.Client) error {
			return p.blob(ctx, client, content, 0, func(r io.Reader, _ int64) error { return take(r) })
		})
	})
	return err
}

// How often a broken transfer is resumed at one source.
const (
	resumptions = 20 // the most
	fruitless   = 2  // the most in a row that bring no data
	firstPause  = 250 * time.Millisecond
)

// Part is content that is being fetched. It keeps what came before a transfer broke off.
type Part interface {
	// Size is how many bytes of the content it has.
	Size() int64
	// Restart discards what it has.
	Restart() error
	// Take adds the content that r gives. from is its position in the content: the end of the part,
	// or 0.
	Take(r io.Reader, from int64) error
}

// Stream fetches content into a part, starting at the part's end. A transfer that breaks off is
// resumed after a moment. If that does not help, another source is asked.
func (s *Repository) Stream(ctx context.Context, content v1.Descriptor, to Part) error {
	_, err := s.each(ctx, func(p *source) (bool, error) {
		if !p.pull {
			return false, nil
		}
		return true, p.stream(ctx, content, to)
	})
	return err
}

func (p *source) stream(ctx context.Context, content v1.Descriptor, to Part) error {
	idle := 0
	for i := 0; ; i++ {
		before := to.Size()
		err := p.try(ctx, func(client *http.Client) error {
			return p.blob(ctx, client, content, to.Size(), to.Take)
		})
		var broken *InterruptedError
		switch {
		case errors.Is(err, errNoRange) && before > 0:
			if err := to.Restart(); err != nil {
				return err
			}
		case err == nil || !errors.As(err, &broken):
			return err
		}
		if idle++; to.Size() > before && !errors.Is(err, errSlow) {
			idle = 0
		}
		if i == resumptions || idle == fruitless || ctx.Err() != nil {
			return err
		}
		if ctxErr := pause.For(ctx, firstPause<<idle); ctxErr != nil {
			return err
		}
	}
}

// each calls do for one source after the other until one call succeeds. It returns the index of
// that source.
func (s *Repository) each(ctx context.Context, do func(*source) (asked bool, err error)) (at int, err error) {
	var failed []string
	var last error
	for i, p := range s.sources {
		asked, err := do(p)
		switch {
		case !asked:
			continue
		case err == nil:
			return i, nil
		case ctx.Err() != nil || !elsewhere(err):
			return 0, err
		}
		if last != nil {
			failed = append(failed, last.Error())
		}
		last = err
	}
	if last == nil {
		return 0, fault.New(nil, nil, "no host in the configuration of the registry has the capability that is needed (pull or resolve)")
	}
	if len(failed) > 0 {
		return 0, fault.New(fault.ClassOf(last), last, "%v; before that: %s", last, strings.Join(failed, "; "))
	}
	return 0, last
}

// elsewhere reports whether the error comes from this source only, so that another source may
// succeed.
func elsewhere(err error) bool {
	for _, ours := range []error{fault.ErrNotWasm, fault.ErrTooLarge, fault.ErrDiskFull} {
		if errors.Is(err, ours) {
			return false
		}
	}
	return true
}

// get sends a request to the repository. The response's body must be closed.
func (p *source) get(ctx context.Context, client *http.Client, kind, id string, header http.Header) (*http.Response, error) {
	at := url.URL{Scheme: p.repo.Scheme(), Host: p.repo.RegistryStr(), Path: "/v2/" + p.repo.RepositoryStr() + "/" + kind + "/" + id}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return nil, err
	}
	if header != nil {
		req.Header = header
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode == http.StatusPartialContent || resp.StatusCode == http.StatusRequestedRangeNotSatisfiable {
		return resp, nil // only for requests with a range
	}
	if err := transport.CheckError(resp, http.StatusOK); err != nil {
		_ = resp.Body.Close()
		return nil, err
	}
	return resp, nil
}

// manifest fetches a manifest from this source.
func (p *source) manifest(ctx context.Context, client *http.Client, id string) (data []byte, digest, contentType string, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, 2*p.stall, errSlowAnswer)
	defer cancel()
	host, subject := p.repo.RegistryStr(), p.repo.RepositoryStr()+" "+id
	resp, err := p.get(ctx, client, "manifests", id, http.Header{"Accept": {manifest.AcceptedManifests}})
	if err != nil {
		return nil, "", "", fault.OfRegistry(host, subject, causeOf(ctx, err))
	}
	defer func() { _ = resp.Body.Close() }()
	data, err = io.ReadAll(io.LimitReader(resp.Body, maxManifest+1))
	if err != nil {
		return nil, "", "", fault.OfRegistry(host, subject, causeOf(ctx, err))
	}
	if len(data) > maxManifest {
		return nil, "", "", fault.New(fault.ErrTooLarge, nil, "the manifest of %s in registry %s has more than %d bytes", subject, host, maxManifest)
	}
	sum := sha256.Sum256(data)
	digest = "sha256:" + hex.EncodeToString(sum[:])
	if manifest.IsDigest(id) && id != digest {
		return nil, "", "", fault.New(fault.ErrDigestMismatch, nil, "registry %s answers for manifest %s with one of digest %s", host, id, digest)
	}
	return data, digest, resp.Header.Get("Content-Type"), nil
}

// blob passes the content to take. It starts at the position from if the server supports that, and
// otherwise at the first byte. take gets the position.
func (p *source) blob(ctx context.Context, client *http.Client, content v1.Descriptor, from int64, take func(io.Reader, int64) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	host, id := p.repo.RegistryStr(), content.Digest.String()
	subject := p.repo.RepositoryStr() + " " + id
	header := http.Header{}
	if from > 0 {
		header.Set("Range", fmt.Sprintf("bytes=%d-", from))
	}
	answer := time.AfterFunc(2*p.stall, func() { cancel(errSlowAnswer) })
	resp, err := p.get(ctx, client, "blobs", id, header)
	answer.Stop()
	if err != nil {
		return fault.OfRegistry(host, subject, causeOf(ctx, err))
	}
	defer func() { _ = resp.Body.Close() }()
	switch resp.StatusCode {
	case http.StatusOK:
		from = 0
	case http.StatusPartialContent:
		if !strings.HasPrefix(resp.Header.Get("Content-Range"), fmt.Sprintf("bytes %d-", from)) {
			return fault.New(nil, errNoRange, "registry %s, asked for %s from byte %d, answers with %.100q", host, subject, from, resp.Header.Get("Content-Range"))
		}
	default:
		return fault.New(nil, errNoRange, "registry %s does not give %s from byte %d", host, subject, from)
	}
	if n := resp.ContentLength; n >= 0 && n != content.Size-from {
		return fault.New(fault.ErrDigestMismatch, nil, "registry %s offers module %s with %d bytes; its manifest says %d", host, id, n+from, content.Size)
	}
	body := &watchedBody{body: resp.Body, stall: p.stall, end: cancel, n: from}
	defer body.watch()()
	err = take(body, from)
	if err != nil && body.err != nil {
		if cause := context.Cause(ctx); cause != nil {
			body.err = cause
		}
		return fault.New(nil, &InterruptedError{body.err}, "registry %s, fetching %s: %s after %d of %d bytes", host, subject, fault.WithoutQuery(body.err), body.n, content.Size)
	}
	return err
}

// errNoRange means that a server cannot send content from a position on.
var errNoRange = errors.New("no such range")

// InterruptedError is the error of a broken transfer that may be resumed.
type InterruptedError struct{ cause error }

func (e *InterruptedError) Error() string { return e.cause.Error() }
func (e *InterruptedError) Unwrap() error { return e.cause }

// causeOf returns the cause of the context's end if err is that end, and err otherwise.
func causeOf(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil && errors.Is(err, ctx.Err()) {
		return cause
	}
	return err
}

// watchedBody ends a transfer that brings no data for the stall time, or too little data in twice
// that time. It keeps the error that ended it.
type watchedBody struct {
	body  io.Reader
	stall time.Duration
	end   func(error)
	n     int64
	err   error // other than io.EOF

	nothing *time.Timer
	little  *time.Timer
	came    atomic.Int64 // since the timer little was set
}

func (b *watchedBody) watch() (stop func()) {
	b.nothing = time.AfterFunc(b.stall, func() { b.end(ErrStalled) })
	b.little = time.AfterFunc(math.MaxInt64, b.weigh)
	b.little.Reset(2 * b.stall) // now that weigh can see it
	return func() { b.nothing.Stop(); b.little.Stop() }
}

func (b *watchedBody) weigh() {
	if b.came.Swap(0) < int64(2*b.stall.Seconds()*minRate) {
		b.end(errSlow)
		return
	}
	b.little.Reset(2 * b.stall) // if it was stopped in the meantime, another end has no effect
}

func (b *watchedBody) Read(p []byte) (int, error) {
	n, err := b.body.Read(p)
	b.n += int64(n)
	if n > 0 {
		b.came.Add(int64(n))
		b.nothing.Reset(b.stall)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		b.err = err
	}
	return n, err
}
