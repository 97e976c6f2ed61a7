package tlsbootstrap

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// readKubeconfig reads the current context of a kubeconfig and checks what all of them must have: a
// server and the authority that signed its certificate. Files that it names are read in.
func readKubeconfig(path string) (config *rest.Config, data []byte, err error) {
	data, err = os.ReadFile(path)
	if err != nil {
		return nil, nil, err
	}
	config, err = parseKubeconfig(data, path)
	return config, data, err
}

func parseKubeconfig(data []byte, path string) (*rest.Config, error) {
	raw, err := clientcmd.Load(data)
	if err != nil {
		return nil, fmt.Errorf("%s is not a kubeconfig: %w", path, err)
	}
	resolvePaths(raw, filepath.Dir(path))
	ctx, ok := raw.Contexts[raw.CurrentContext]
	if !ok || ctx == nil {
		return nil, fmt.Errorf("%s has no current context", path)
	}
	cluster, ok := raw.Clusters[ctx.Cluster]
	if !ok || cluster == nil || cluster.Server == "" {
		return nil, fmt.Errorf("%s names no server", path)
	}
	server, err := url.Parse(cluster.Server)
	if err != nil || server.Scheme != "https" || server.Host == "" {
		return nil, fmt.Errorf("the server %q of %s is not an https:// URL", cluster.Server, path)
	}
	if len(cluster.CertificateAuthorityData) == 0 && cluster.CertificateAuthority == "" {
		return nil, fmt.Errorf("%s has no certificate authority: set certificate-authority-data of its cluster", path)
	}
	config, err := clientcmd.NewDefaultClientConfig(*raw, &clientcmd.ConfigOverrides{}).ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	if err := rest.LoadTLSFiles(config); err != nil {
		return nil, fmt.Errorf("reading what %s names: %w", path, err)
	}
	if !x509.NewCertPool().AppendCertsFromPEM(config.CAData) {
		return nil, fmt.Errorf("the certificate authority of %s is not a certificate in PEM", path)
	}
	return config, nil
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
		return nil, fmt.Errorf("the bootstrap file is missing, make one with hack/bootstrap.sh: %w", err)
	}
	if err != nil {
		return nil, fmt.Errorf("the bootstrap file cannot be used: %w", err)
	}
	return config, checkCredential(config, path)
}

func checkCredential(config *rest.Config, path string) error {
	if config.BearerToken == "" && config.BearerTokenFile == "" && len(config.CertData) == 0 {
		return fmt.Errorf("the bootstrap file %s has no token: make it again with hack/bootstrap.sh", path)
	}
	return nil
}

// nodeConfig is what there is at the path of the node's kubeconfig.
type nodeConfig struct {
	config *rest.Config
	// ours: we wrote the file, and renew its certificate.
	ours bool
	// cert is the client certificate; nil if the file authenticates in another way.
	cert *tls.Certificate
}

// readNodeConfig returns nil without an error if there is no file.
func readNodeConfig(path string) (*nodeConfig, error) {
	config, data, err := readKubeconfig(path)
	if errors.Is(err, fs.ErrNotExist) && data == nil {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("the node's kubeconfig cannot be used: %w", err)
	}
	found := &nodeConfig{config: config, ours: marked(data)}
	if len(config.CertData) == 0 {
		return found, nil
	}
	cert, err := tls.X509KeyPair(config.CertData, config.KeyData)
	if err != nil {
		return nil, fmt.Errorf("the client certificate of %s cannot be used: %w", path, err)
	}
	found.cert = &cert
	return found, nil
}

// usable tells whether the kubeconfig can be used as it is. If it neither can be nor may be
// replaced, the error says what to do.
func (n *nodeConfig) usable(cfg Config) (bool, error) {
	if n.cert == nil {
		return true, nil
	}
	leaf := n.cert.Leaf
	if leaf.Subject.CommonName != cfg.commonName() {
		advice := "start with that node name, or remove the file to join as " + cfg.NodeName
		if !n.ours {
			// Most likely an administrator's, exported for kubectl: the node would have all its rights.
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
	return false, fmt.Errorf("the client certificate of %s expired on %s: renew it, or remove the file to join anew",
		cfg.Kubeconfig, leaf.NotAfter.Format(time.RFC3339))
}

// writeKubeconfig stores a kubeconfig for the server of config, certificates and key in it.
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
