package tlsbootstrap

import (
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"
	certificatesv1 "k8s.io/api/certificates/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/certificate"
)

// Identity is the node's way to the API server.
type Identity struct {
	cfg    Config
	config *rest.Config
	// cert is nil if the kubeconfig is not ours to renew.
	cert *clientCert
	// source is the configuration that cert came with: server and authority.
	source *rest.Config
}

// Join returns the node's identity. If there is a usable kubeconfig at cfg.Kubeconfig it is taken,
// and the API server is not asked: a node starts while the API is down. Otherwise a certificate is
// requested with the bootstrap file, and Join blocks until it is issued, cfg.ContactTimeout passes
// without any answer, the API server rejects the token or the request (a *RefusedError if an
// approver did), or ctx ends. Nothing is left half written: started again, it goes on.
func Join(ctx context.Context, cfg Config) (*Identity, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validateClient(); err != nil {
		return nil, err
	}
	found, err := readNodeConfig(cfg.Kubeconfig)
	if err != nil {
		return nil, err
	}
	if found != nil {
		usable, err := found.usable(cfg)
		if err != nil {
			return nil, err
		}
		if usable {
			return newIdentity(cfg, found)
		}
		cfg.Log.Info("the node's client certificate has expired, bootstrapping again",
			zap.String("kubeconfig", cfg.Kubeconfig), zap.Time("expired", found.cert.Leaf.NotAfter))
	}
	if err := bootstrap(ctx, cfg); err != nil {
		return nil, err
	}
	if found, err = readNodeConfig(cfg.Kubeconfig); err != nil || found == nil {
		return nil, fmt.Errorf("reading back %s: %w", cfg.Kubeconfig, err)
	}
	return newIdentity(cfg, found)
}

func newIdentity(cfg Config, found *nodeConfig) (*Identity, error) {
	if !found.ours {
		if found.cert == nil {
			cfg.Log.Warn("the kubeconfig has no client certificate: its rights are its own, and it will not be renewed",
				zap.String("kubeconfig", cfg.Kubeconfig), zap.String("node", cfg.NodeName))
		}
		return &Identity{cfg: cfg, config: found.config}, nil
	}
	if err := pendingClientKey(cfg).removeIf(found.cert.Leaf.PublicKey); err != nil {
		cfg.Log.Warn("tidying up after a bootstrap", zap.Error(err))
	}
	cert := newClientCert(found.cert)
	config, err := cert.restConfig(found.config)
	if err != nil {
		return nil, fmt.Errorf("using %s: %w", cfg.Kubeconfig, err)
	}
	return &Identity{cfg: cfg, config: config, cert: cert, source: found.config}, nil
}

// Config returns a copy of the configuration for clients. Clients made from it use a renewed
// certificate by themselves. It carries its transport, so its TLS settings must stay empty.
func (i *Identity) Config() *rest.Config { return rest.CopyConfig(i.config) }

// Run renews the client certificate at 70 to 90 % of its lifetime, and rewrites the kubeconfig. It
// blocks until ctx ends and then returns nil. If the kubeconfig is not ours it only waits.
func (i *Identity) Run(ctx context.Context) error {
	if i.cert == nil {
		<-ctx.Done()
		return nil
	}
	client, err := kubernetes.NewForConfig(i.Config())
	if err != nil {
		return fmt.Errorf("making a client for certificate renewal: %w", err)
	}
	iss := clientIssuer(i.cfg, client, i.source, nil)
	keep := iss.store
	iss.store = func(certPEM, keyPEM []byte) error {
		if err := keep(certPEM, keyPEM); err != nil {
			return err
		}
		cert, err := tls.X509KeyPair(certPEM, keyPEM)
		if err != nil {
			return fmt.Errorf("reading a renewed certificate: %w", err)
		}
		i.cert.use(&cert)
		return nil
	}
	if err := iss.renew(ctx, func() *x509.Certificate { return i.cert.current().Leaf }); ctx.Err() == nil {
		return err
	}
	return nil
}

func pendingClientKey(cfg Config) pendingKey {
	return pendingKey{cfg.Kubeconfig + ".key" + pendingSuffix}
}

// bootstrap requests the first client certificate and writes the kubeconfig.
func bootstrap(ctx context.Context, cfg Config) error {
	config, err := readBootstrap(cfg.BootstrapFile)
	if err != nil {
		return err
	}
	httpClient, err := rest.HTTPClientFor(config)
	if err != nil {
		return fmt.Errorf("using %s: %w", cfg.BootstrapFile, err)
	}
	defer httpClient.CloseIdleConnections()
	client, err := kubernetes.NewForConfigAndClient(config, httpClient)
	if err != nil {
		return fmt.Errorf("using %s: %w", cfg.BootstrapFile, err)
	}
	cfg.Log.Info("requesting a client certificate",
		zap.String("server", config.Host), zap.String("bootstrapFile", cfg.BootstrapFile), zap.String("node", cfg.NodeName))
	patience := &patience{limit: cfg.ContactTimeout, server: config.Host, now: time.Now}
	patience.begin()
	iss := clientIssuer(cfg, client, config, patience.judge)
	err = iss.once(ctx)
	if errors.Is(err, errSpoiltKey) {
		// Left over from an earlier life of this node; a new key does it.
		if _, err = iss.pending.replace(); err == nil {
			err = iss.once(ctx)
		}
	}
	if err != nil {
		return fmt.Errorf("joining as node %s: %w", cfg.NodeName, explain(err, config.Host, cfg.BootstrapFile))
	}
	cfg.Log.Info("wrote the node's kubeconfig", zap.String("kubeconfig", cfg.Kubeconfig))
	return nil
}

// clientIssuer gets client certificates and writes them into the kubeconfig.
func clientIssuer(cfg Config, client kubernetes.Interface, server *rest.Config, giveUp func(error) error) *issuer {
	log := cfg.Log.With(zap.String("certificate", "client"))
	pending := pendingClientKey(cfg)
	return &issuer{
		log:            log,
		pending:        pending,
		refusedBackoff: cfg.RefusedBackoff,
		request: func(key crypto.Signer) *request {
			return &request{
				client: client, log: log, key: key, giveUp: giveUp,
				name: cfg.NodeName, signer: certificatesv1.KubeAPIServerClientKubeletSignerName,
				usages: certificate.DefaultKubeletClientGetUsages(key),
				cn:     cfg.commonName(),
				pending: func(name string) {
					log.Info("waiting for the client certificate; if nothing approves it by itself, run kubectl certificate approve "+name,
						zap.String("csr", name))
				},
			}
		},
		store: func(certPEM, keyPEM []byte) error {
			if err := writeKubeconfig(cfg, server, certPEM, keyPEM); err != nil {
				return err
			}
			return pending.remove()
		},
	}
}

// patience decides which errors end a bootstrap: those that no retry cures, and silence.
type patience struct {
	limit  time.Duration
	server string
	now    func() time.Time

	start      time.Time
	contact    bool
	rejectedAt time.Time
}

// rejectionGrace is how long a rejection must last: an API server that has just started, or a token
// that has just been made, is rejected for a moment.
const rejectionGrace = 2 * time.Second

func (p *patience) begin() { p.start = p.now() }

// judge returns the error to give up with, or nil to go on.
func (p *patience) judge(err error) error {
	switch {
	case untrusted(err):
		return err
	case rejected(err):
		p.contact = true
		if p.rejectedAt.IsZero() {
			p.rejectedAt = p.now()
		}
		if p.now().Sub(p.rejectedAt) >= rejectionGrace {
			return err
		}
		return nil
	}
	p.rejectedAt = time.Time{}
	p.contact = p.contact || answered(err) || errors.Is(err, errPending) || errors.Is(err, errGone)
	if !p.contact && p.now().Sub(p.start) >= p.limit {
		return fmt.Errorf("no answer from the API server %s within %s, check the address and that it runs: %w", p.server, p.limit, err)
	}
	return nil
}
