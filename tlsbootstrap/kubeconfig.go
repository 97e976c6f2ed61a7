package tlsbootstrap

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"path/filepath"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// readKubeconfig reads the current context of a kubeconfig. It checks for a server and for the
// authority that signed the server's certificate, which every kubeconfig here must have. It also
// reads the files that the kubeconfig names. data is the content of the file, also if there is an
// error.
func readKubeconfig(path string) (config *rest.Config, data []byte, err error) {
	data, err = readFile(path)
	if err != nil {
		return nil, data, err
	}
	config, err = parseKubeconfig(data, path)
	return config, data, err
}

func parseKubeconfig(data []byte, path string) (*rest.Config, error) {
	if blank(data) {
		return nil, fmt.Errorf("%s is empty, so it has no current context", path)
	}
	raw, err := clientcmd.Load(data)
	if err != nil {
		return nil, fmt.Errorf("%s is not a kubeconfig: %s", path, oneLine(err))
	}
	resolvePaths(raw, filepath.Dir(path))
	cluster, err := currentCluster(raw, path)
	if err != nil {
		return nil, err
	}
	server, err := url.Parse(cluster.Server)
	if err != nil || server.Scheme != "https" || server.Host == "" {
		return nil, fmt.Errorf("the server %q of %s is not an https:// URL", cluster.Server, path)
	}
	if len(cluster.CertificateAuthorityData) == 0 && cluster.CertificateAuthority == "" {
		return nil, fmt.Errorf("%s has no certificate authority: set certificate-authority-data of its cluster", path)
	}
	if err := loadFiles(raw, path); err != nil {
		return nil, err
	}
	config, err := clientcmd.NewDefaultClientConfig(*raw, &clientcmd.ConfigOverrides{}).ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("reading %s: %s", path, oneLine(err))
	}
	if !x509.NewCertPool().AppendCertsFromPEM(config.CAData) {
		return nil, fmt.Errorf("the certificate authority of %s is not a certificate in PEM", path)
	}
	if len(config.CertData) > 0 {
		if _, err := tls.X509KeyPair(config.CertData, config.KeyData); err != nil {
			return nil, fmt.Errorf("the client certificate of %s and its key are no pair in PEM: %s", path, oneLine(err))
		}
	}
	return config, nil
}

// currentCluster is the cluster of the current context. It also checks that the context's user
// exists.
func currentCluster(raw *clientcmdapi.Config, path string) (*clientcmdapi.Cluster, error) {
	if raw.CurrentContext == "" {
		return nil, fmt.Errorf("%s has no current context: set current-context", path)
	}
	ctx := raw.Contexts[raw.CurrentContext]
	if ctx == nil {
		return nil, fmt.Errorf("%s has no context %q, which it names as the current context", path, raw.CurrentContext)
	}
	cluster := raw.Clusters[ctx.Cluster]
	switch {
	case cluster == nil:
		return nil, fmt.Errorf("%s has no cluster %q, which its current context names", path, ctx.Cluster)
	case cluster.Server == "":
		return nil, fmt.Errorf("%s names no server: set server of its cluster", path)
	case raw.AuthInfos[ctx.AuthInfo] == nil:
		return nil, fmt.Errorf("%s has no user %q, which its current context names", path, ctx.AuthInfo)
	}
	return cluster, nil
}

// loadFiles reads the files with certificates and keys that the current context names, as carefully
// as the kubeconfig itself, and puts them into it. A token stays in its file, because it may
// change.
func loadFiles(raw *clientcmdapi.Config, path string) error {
	ctx := raw.Contexts[raw.CurrentContext]
	cluster, user := raw.Clusters[ctx.Cluster], raw.AuthInfos[ctx.AuthInfo]
	for _, f := range []struct {
		data *[]byte
		file *string
	}{
		{&cluster.CertificateAuthorityData, &cluster.CertificateAuthority},
		{&user.ClientCertificateData, &user.ClientCertificate},
		{&user.ClientKeyData, &user.ClientKey},
	} {
		if len(*f.data) == 0 && *f.file != "" {
			var err error
			if *f.data, err = readFile(*f.file); err != nil {
				return fmt.Errorf("reading what %s names: %w", path, err)
			}
		}
		*f.file = ""
	}
	if user.TokenFile != "" {
		if _, err := readFile(user.TokenFile); err != nil {
			return fmt.Errorf("reading what %s names: %w", path, err)
		}
	}
	return nil
}

// resolvePaths makes the relative paths of a kubeconfig relative to its folder.
func resolvePaths(raw *clientcmdapi.Config, dir string) {
	against := func(path *string) {
		if *path != "" && !filepath.IsAbs(*path) {
			*path = filepath.Join(dir, *path)
		}
	}
	for _, c := range raw.Clusters {
		if c != nil {
			against(&c.CertificateAuthority)
		}
	}
	for _, a := range raw.AuthInfos {
		if a != nil {
			against(&a.ClientCertificate)
			against(&a.ClientKey)
			against(&a.TokenFile)
		}
	}
}

// readBootstrap reads the kubeconfig with which a node asks for its first certificate.
func readBootstrap(path string) (*rest.Config, error) {
	if path == "" {
		return nil, errors.New("no bootstrap file is set: make one with hack/bootstrap.sh")
	}
	config, _, err := readKubeconfig(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("reading the bootstrap file, make one with hack/bootstrap.sh: %w", err)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the bootstrap file: %w", err)
	}
	return config, checkCredential(config, path)
}

func checkCredential(config *rest.Config, path string) error {
	if config.BearerToken == "" && config.BearerTokenFile == "" && len(config.CertData) == 0 {
		return fmt.Errorf("the bootstrap file %s has no token: make it again with hack/bootstrap.sh", path)
	}
	return nil
}

// nodeConfig is the kubeconfig at the node's path.
type nodeConfig struct {
	config *rest.Config
	// ours: we wrote the file, so we renew its certificate.
	ours bool
	// cert is the client certificate. It is nil if the file uses another way to authenticate.
	cert *tls.Certificate
}

// damagedError says why a kubeconfig cannot be used that we wrote, or that is empty.
type damagedError struct{ cause error }

func (e *damagedError) Error() string { return e.cause.Error() }
func (e *damagedError) Unwrap() error { return e.cause }

// readNodeConfig returns nil without an error if there is no file. If it returns a *damagedError,
// the file may be replaced.
func readNodeConfig(path string) (*nodeConfig, error) {
	config, data, err := readKubeconfig(path)
	if errors.Is(err, fs.ErrNotExist) && data == nil {
		return nil, nil
	}
	found := &nodeConfig{config: config, ours: marked(data)}
	if err == nil {
		err = found.loadCertificate(path)
	}
	if err != nil {
		err = fmt.Errorf("reading the node's kubeconfig: %w", err)
		if data != nil && (found.ours || cutMarker(data)) {
			err = &damagedError{err}
		}
		return nil, err
	}
	return found, nil
}

func (n *nodeConfig) loadCertificate(path string) error {
	switch {
	case len(n.config.CertData) == 0 && n.ours:
		return fmt.Errorf("%s has no client certificate: it was cut off", path)
	case len(n.config.CertData) == 0:
		return nil
	}
	cert, err := tls.X509KeyPair(n.config.CertData, n.config.KeyData)
	if err != nil {
		return fmt.Errorf("the client certificate of %s: %s", path, oneLine(err))
	}
	n.cert = &cert
	return nil
}

// usable reports whether the kubeconfig can be used as it is. If it cannot, and it must not be
// replaced, the error says what to do.
func (n *nodeConfig) usable(cfg Config) (bool, error) {
	if n.cert == nil {
		return true, nil
	}
	leaf := n.cert.Leaf
	if leaf.Subject.CommonName != cfg.commonName() {
		advice := "start with that node name, or remove the file to join as " + cfg.NodeName
		if !n.ours {
			// This is probably an administrator's kubeconfig for kubectl. The node would have all
			// rights of the administrator.
			advice = "set KUBECONFIG to where the node's own shall be, or unset it"
		}
		return false, fmt.Errorf("%s is the kubeconfig of %s, not of this node: %s", cfg.Kubeconfig, leaf.Subject.CommonName, advice)
	}
	if time.Now().Before(leaf.NotAfter) {
		return true, nil
	}
	if n.ours {
		return false, nil
	}
	return false, fmt.Errorf("the client certificate of %s expired on %s: renew it, or remove the file to join again",
		cfg.Kubeconfig, leaf.NotAfter.Format(time.RFC3339))
}

// writeKubeconfig stores a kubeconfig with the server of config, the certificate and the key.
func writeKubeconfig(cfg Config, config *rest.Config, certPEM, keyPEM []byte) error {
	const cluster = "kubernetes"
	user := cfg.commonName()
	raw := clientcmdapi.NewConfig()
	raw.Clusters[cluster] = &clientcmdapi.Cluster{
		Server:                   config.Host,
		TLSServerName:            config.ServerName,
		CertificateAuthorityData: config.CAData,
		ProxyURL:                 proxyURL(config),
	}
	raw.AuthInfos[user] = &clientcmdapi.AuthInfo{ClientCertificateData: certPEM, ClientKeyData: keyPEM}
	raw.Contexts[user] = &clientcmdapi.Context{Cluster: cluster, AuthInfo: user}
	raw.CurrentContext = user
	data, err := clientcmd.Write(*raw)
	if err != nil {
		return fmt.Errorf("encoding the node's kubeconfig: %w", err)
	}
	return writeFile(cfg.Kubeconfig, append([]byte(marker), data...), 0o600)
}

// proxyURL returns the fixed proxy of a configuration that was read from a kubeconfig.
func proxyURL(config *rest.Config) string {
	if config.Proxy == nil {
		return ""
	}
	proxy, err := config.Proxy(nil)
	if err != nil || proxy == nil {
		return ""
	}
	return proxy.String()
}
