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

// Identity is what the node needs to talk to the API server.
type Identity struct {
	cfg    Config
	config *rest.Config
	// cert is nil if this package did not write the kubeconfig, so it does not renew it.
	cert *clientCert
	// source is the configuration that the certificate was read with: the server and its authority.
	source *rest.Config
}

// Join returns the node's identity. If the kubeconfig at cfg.Kubeconfig is usable, Join takes it,
// so a node can start during an outage of the API server. Otherwise Join requests a certificate
// with the bootstrap file. It blocks until the certificate is issued, no answer comes within
// cfg.ContactTimeout, the API server rejects the token or the request (a *RefusedError if an
// approver did), or ctx ends. It leaves no file half written. If it is started again, it goes on
// with the same request.
//
// Join replaces a kubeconfig that we wrote in three cases: its certificate has expired; it is
// damaged (Join keeps the damaged file under another name); or the API server refuses it and there
// is a bootstrap file (see refused).
func Join(ctx context.Context, cfg Config) (*Identity, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validateClient(); err != nil {
		return nil, err
	}
	found, err := readNodeConfig(cfg.Kubeconfig)
	var damaged *damagedError
	if errors.As(err, &damaged) {
		return rejoin(ctx, cfg, damaged)
	}
	if err != nil {
		return nil, err
	}
	if found == nil {
		return firstJoin(ctx, cfg)
	}
	usable, err := found.usable(cfg)
	switch {
	case err != nil:
		return nil, err
	case !usable:
		cfg.Log.Info("the node's client certificate has expired, bootstrapping again",
			zap.String("kubeconfig", cfg.Kubeconfig), zap.Time("expired", found.cert.Leaf.NotAfter))
		return firstJoin(ctx, cfg)
	}
	reason := found.refused(ctx, cfg)
	if reason == nil {
		return newIdentity(cfg, found)
	}
	cfg.Log.Warn("the API server refuses the node's kubeconfig, bootstrapping again",
		zap.String("kubeconfig", cfg.Kubeconfig), zap.String("bootstrapFile", cfg.BootstrapFile), zap.Error(reason))
	identity, err := firstJoin(ctx, cfg)
	if err == nil || ctx.Err() != nil {
		return identity, err
	}
	// The pods need an agent, even one that must wait for the API server.
	cfg.Log.Error("bootstrapping again failed, going on with the kubeconfig as it is: make a bootstrap file with hack/bootstrap.sh, and start again",
		zap.String("kubeconfig", cfg.Kubeconfig), zap.Error(err))
	return newIdentity(cfg, found)
}

// firstJoin bootstraps, and returns the identity in the kubeconfig that it wrote.
func firstJoin(ctx context.Context, cfg Config) (*Identity, error) {
	if err := bootstrap(ctx, cfg, func() error { return nil }); err != nil {
		return nil, err
	}
	return joined(cfg)
}

func joined(cfg Config) (*Identity, error) {
	found, err := readNodeConfig(cfg.Kubeconfig)
	if err != nil || found == nil {
		return nil, fmt.Errorf("reading back %s: %w", cfg.Kubeconfig, err)
	}
	return newIdentity(cfg, found)
}

// damagedSuffix is added to the name of a damaged kubeconfig that was replaced.
const damagedSuffix = ".damaged"

// rejoin bootstraps because the kubeconfig is damaged. When the new certificate is there, it
// renames the damaged file.
func rejoin(ctx context.Context, cfg Config, damaged *damagedError) (*Identity, error) {
	if _, err := readBootstrap(cfg.BootstrapFile); err != nil {
		return nil, fmt.Errorf("%w; and the node cannot join again: %w", damaged, err)
	}
	aside := cfg.Kubeconfig + damagedSuffix
	cfg.Log.Warn("the node's kubeconfig is damaged, bootstrapping again",
		zap.String("kubeconfig", cfg.Kubeconfig), zap.String("bootstrapFile", cfg.BootstrapFile),
		zap.String("keptAs", aside), zap.Error(damaged))
	if err := bootstrap(ctx, cfg, func() error { return rename(cfg.Kubeconfig, aside) }); err != nil {
		return nil, fmt.Errorf("%w; and the node cannot join again: %w", damaged, err)
	}
	return joined(cfg)
}

func newIdentity(cfg Config, found *nodeConfig) (*Identity, error) {
	identity, err := identityOf(cfg, found)
	if err == nil {
		BoundAnswers(identity.config)
	}
	return identity, err
}

func identityOf(cfg Config, found *nodeConfig) (*Identity, error) {
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
// certificate automatically, and read answers of bounded size (see BoundAnswers). The configuration
// has its own transport, so callers must not set its TLS fields.
func (i *Identity) Config() *rest.Config { return rest.CopyConfig(i.config) }

// Run renews the client certificate at 70 to 90 % of its lifetime, and writes the kubeconfig again.
// If a certificate expired before its renewal, Run requests one with the bootstrap file, if there
// is one. Run blocks until ctx ends and then returns nil. If we did not write the kubeconfig, Run
// only waits.
func (i *Identity) Run(ctx context.Context) error {
	if i.cert == nil {
		<-ctx.Done()
		return nil
	}
	client, err := kubernetes.NewForConfig(i.Config())
	if err != nil {
		return fmt.Errorf("making a client for certificate renewal: %w", err)
	}
	iss := clientIssuer(i.cfg, client, i.source, i.hopeless)
	ask := iss.request
	iss.request = func(key crypto.Signer) *request {
		r := ask(key)
		if i.expired() {
			i.askByToken(r)
		}
		return r
	}
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

func (i *Identity) expired() bool { return !time.Now().Before(i.cert.current().Leaf.NotAfter) }

// hopeless ends a request that the API server refuses because our certificate has expired. After a
// pause the issuer makes another request, with the bootstrap token.
func (i *Identity) hopeless(err error) error {
	if i.expired() && rejected(err) {
		return fmt.Errorf("the node's client certificate has expired, and a request is refused: %w", err)
	}
	return nil
}

// askByToken makes a request use the token of the bootstrap file.
func (i *Identity) askByToken(r *request) {
	_, client, _, err := bootstrapClient(i.cfg) // rare, so its connections may close by being idle
	if err != nil {
		i.cfg.Log.Warn("the node's client certificate has expired, and it cannot be asked for again", zap.Error(err))
		return
	}
	i.cfg.Log.Info("the node's client certificate has expired, asking with the bootstrap file", zap.String("bootstrapFile", i.cfg.BootstrapFile))
	r.client = client
}

func pendingClientKey(cfg Config) pendingKey {
	return pendingKey{cfg.Kubeconfig + ".key" + pendingSuffix}
}

// bootstrap requests a client certificate with the bootstrap file and writes the kubeconfig. It
// calls ready just before it writes.
func bootstrap(ctx context.Context, cfg Config, ready func() error) error {
	config, client, closeClient, err := bootstrapClient(cfg)
	if err != nil {
		return err
	}
	defer closeClient()
	cfg.Log.Info("requesting a client certificate",
		zap.String("server", config.Host), zap.String("bootstrapFile", cfg.BootstrapFile), zap.String("node", cfg.NodeName))
	patience := &patience{limit: cfg.ContactTimeout, server: config.Host, now: time.Now}
	patience.begin()
	iss := clientIssuer(cfg, client, config, patience.judge)
	store := iss.store
	iss.store = func(certPEM, keyPEM []byte) error {
		if err := ready(); err != nil {
			return fmt.Errorf("keeping the old %s: %w", cfg.Kubeconfig, err)
		}
		return store(certPEM, keyPEM)
	}
	err = iss.once(ctx)
	if errors.Is(err, errSpoiltKey) {
		// The key is from an earlier use of this node. A new key helps.
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

// bootstrapClient makes a client from the bootstrap file.
func bootstrapClient(cfg Config) (config *rest.Config, client kubernetes.Interface, closeClient func(), err error) {
	if config, err = readBootstrap(cfg.BootstrapFile); err != nil {
		return nil, nil, nil, err
	}
	bounded := rest.CopyConfig(config)
	BoundAnswers(bounded)
	httpClient, err := rest.HTTPClientFor(bounded)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("using %s: %s", cfg.BootstrapFile, oneLine(err))
	}
	client, err = kubernetes.NewForConfigAndClient(bounded, httpClient)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("using %s: %s", cfg.BootstrapFile, oneLine(err))
	}
	return config, client, httpClient.CloseIdleConnections, nil
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
