package tlsbootstrap

import (
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	certificatesv1 "k8s.io/api/certificates/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/util/certificate"
)

// Serving is the certificate of the node's HTTPS API.
type Serving struct {
	cfg    Config
	client kubernetes.Interface
	// renew is false if a person made the files.
	renew bool
	cert  atomic.Pointer[tls.Certificate]
	ready chan struct{}
	once  sync.Once
}

// ErrNotReady is the error of TLS handshakes until there is a certificate.
var ErrNotReady = errors.New("the serving certificate has not been issued yet")

// NewServing reads cfg.CertFile and cfg.KeyFile. A pair that is valid for this node is used
// immediately. If we made the pair, and it has expired or is for other names, Run requests a new
// one. If we did not make it, NewServing uses it as it is, or returns an error if it cannot be
// used. NewServing does not ask the API server.
func NewServing(cfg Config, client kubernetes.Interface) (*Serving, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validateServing(); err != nil {
		return nil, err
	}
	s := &Serving{cfg: cfg, client: client, ready: make(chan struct{})}
	pair, err := readPair(cfg.CertFile, cfg.KeyFile, s.pending())
	if err != nil {
		return nil, err
	}
	s.renew = pair.replaceable
	if pair.cert == nil {
		return s, nil
	}
	problem := pair.unfit(cfg)
	switch {
	case problem == nil:
		s.use(pair.cert)
	case pair.replaceable:
		cfg.Log.Info("the serving certificate has to be requested again", zap.String("file", cfg.CertFile), zap.Error(problem))
	case errors.Is(problem, errOtherNames):
		cfg.Log.Warn("the given serving certificate is not for this node, API servers may refuse it",
			zap.String("file", cfg.CertFile), zap.Error(problem))
		s.use(pair.cert)
	default:
		return nil, fmt.Errorf("the serving certificate %s, which was not made by krustlet-wasi, cannot be used: %w", cfg.CertFile, problem)
	}
	return s, nil
}

// GetCertificate is for tls.Config. It never blocks. It returns ErrNotReady until there is a
// certificate.
func (s *Serving) GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	if cert := s.cert.Load(); cert != nil {
		return cert, nil
	}
	return nil, ErrNotReady
}

// Run requests the certificate if there is none, and waits for its approval without a limit of
// time. It renews the certificate at 70 to 90 % of its lifetime. Each renewal needs an approval,
// and the old certificate is used until then. Run blocks until ctx ends and then returns nil. It
// prints lines to cfg.Stdout: which CSR to approve, and that it was approved.
func (s *Serving) Run(ctx context.Context) error {
	if !s.renew {
		<-ctx.Done()
		return nil
	}
	iss := s.issuer()
	if s.cert.Load() == nil {
		if err := iss.until(ctx); err != nil {
			return nil //nolint:nilerr // until fails only if the context ends
		}
	}
	if err := iss.renew(ctx, func() *x509.Certificate { return s.cert.Load().Leaf }); ctx.Err() == nil {
		return err
	}
	return nil
}

func (s *Serving) pending() pendingKey { return pendingKey{s.cfg.KeyFile + pendingSuffix} }

func (s *Serving) use(cert *tls.Certificate) {
	s.cert.Store(cert)
	s.once.Do(func() { close(s.ready) })
}

func (s *Serving) issuer() *issuer {
	log := s.cfg.Log.With(zap.String("certificate", "serving"))
	dns, ips := s.cfg.servingNames()
	return &issuer{
		log:            log,
		pending:        s.pending(),
		refusedBackoff: s.cfg.RefusedBackoff,
		request: func(key crypto.Signer) *request {
			return &request{
				client: s.client, log: log, key: key,
				name: s.cfg.servingCSRName(), signer: certificatesv1.KubeletServingSignerName,
				usages: certificate.DefaultKubeletServingGetUsages(key),
				cn:     s.cfg.commonName(), dns: dns, ips: ips,
				byUs:    true,
				pending: s.announce,
			}
		},
		store: s.store,
	}
}

// announce prints a line for scripts, and a line that tells a person what to check before the
// approval: any node can create a CSR with any name.
func (s *Serving) announce(name string) {
	s.print("BOOTSTRAP: TLS certificate requires manual approval. Run kubectl certificate approve " + name)
	s.print("Look who asks before you approve: kubectl get csr " + name + " must show the REQUESTOR " + s.cfg.commonName())
}

func (s *Serving) print(line string) {
	if _, err := fmt.Fprintln(s.cfg.Stdout, line); err != nil {
		s.cfg.Log.Warn("printing to standard output", zap.String("line", line), zap.Error(err))
	}
}

// store writes a new pair to disk and starts to use it. It writes the certificate first and then
// renames the pending key. If a crash comes between these two steps, readPair does the second one.
func (s *Serving) store(certPEM, keyPEM []byte) error {
	cert, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return fmt.Errorf("reading the issued serving certificate: %w", err)
	}
	if err := writeFile(s.cfg.CertFile, append([]byte(marker), certPEM...), 0o644); err != nil {
		return err
	}
	if err := rename(s.pending().path, s.cfg.KeyFile); err != nil {
		return fmt.Errorf("storing the serving key: %w", err)
	}
	s.print("BOOTSTRAP: received TLS certificate approval: continuing")
	if old := s.cert.Load(); old != nil && s.cfg.Rotated != nil {
		s.cfg.Rotated(time.Since(old.Leaf.NotBefore))
	}
	s.use(&cert)
	return nil
}
