package tlsbootstrap

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"
	"k8s.io/apimachinery/pkg/util/validation"
)

// Config says who the node is and where its credentials are kept.
type Config struct {
	// BootstrapFile is a kubeconfig with a bootstrap token. It is read only if there is no usable
	// Kubeconfig. It is never written.
	BootstrapFile string
	// Kubeconfig is the path of the node's own kubeconfig, which is written if it does not exist.
	Kubeconfig string
	// NodeName is the name of the Node object: a DNS subdomain.
	NodeName string
	// Hostname and IPs are the names and addresses by which clients reach the node's HTTPS API.
	Hostname string
	IPs      []net.IP
	// CertFile and KeyFile are the paths of the serving pair in PEM, which is written if it does
	// not exist.
	CertFile, KeyFile string
	// Stdout gets the lines that tell a person, or a script, to approve the serving certificate.
	// Nil: no such lines.
	Stdout io.Writer
	// Rotated is called after a serving certificate was replaced, with the age of the old one. It
	// may be nil.
	Rotated func(age time.Duration)
	// Log may be nil.
	Log *zap.Logger

	// ContactTimeout bounds how long Join waits for the first answer of the API server. After that
	// answer Join waits as long as its context allows. 0: DefaultContactTimeout.
	ContactTimeout time.Duration
	// RefusedBackoff is the pause after a denied or failed CSR. After the pause a CSR with a new
	// key is made. The pause doubles up to an hour. 0: DefaultRefusedBackoff.
	RefusedBackoff time.Duration
}

// Defaults of Config.
const (
	DefaultContactTimeout = time.Minute
	DefaultRefusedBackoff = time.Minute

	maxRefusedBackoff = time.Hour
)

// withDefaults returns a copy in which all optional fields are set.
func (c Config) withDefaults() Config {
	if c.Stdout == nil {
		c.Stdout = io.Discard
	}
	if c.Log == nil {
		c.Log = zap.NewNop()
	}
	if c.ContactTimeout == 0 {
		c.ContactTimeout = DefaultContactTimeout
	}
	if c.RefusedBackoff == 0 {
		c.RefusedBackoff = DefaultRefusedBackoff
	}
	return c
}

func (c Config) validateClient() error {
	if c.Kubeconfig == "" {
		return errors.New("no path for the node's kubeconfig is set")
	}
	if c.NodeName == "" {
		return errors.New("no node name is set")
	}
	if samePath(c.Kubeconfig, c.BootstrapFile) {
		return fmt.Errorf("the node's kubeconfig and the bootstrap file are both %s: give the kubeconfig a path of its own", c.Kubeconfig)
	}
	return nil
}

func (c Config) validateServing() error {
	if c.CertFile == "" || c.KeyFile == "" {
		return errors.New("the paths of the serving certificate and of its key are not both set")
	}
	if samePath(c.CertFile, c.KeyFile) {
		return fmt.Errorf("the serving certificate and its key are both %s: give each a file of its own", c.CertFile)
	}
	if c.Hostname == "" && len(c.IPs) == 0 {
		return errors.New("neither a hostname nor an IP is set for the serving certificate")
	}
	if problems := validation.IsDNS1123Subdomain(c.servingCSRName()); len(problems) > 0 {
		return fmt.Errorf("the hostname %q cannot name a certificate signing request: %s", c.Hostname, strings.Join(problems, "; "))
	}
	return nil
}

// servingCSRName returns HOSTNAME-tls in lower case, because names of objects have no capital
// letters.
func (c Config) servingCSRName() string {
	host := c.Hostname
	if host == "" {
		host = c.NodeName
	}
	return strings.ToLower(host) + "-tls"
}

// commonName is the user name that the API server reads in the node's certificates.
func (c Config) commonName() string { return userPrefix + c.NodeName }

// servingNames are the subject alternative names of the serving certificate. If the hostname is an
// address, it is in ips: clients do not compare an address with DNS names.
func (c Config) servingNames() (dns []string, ips []net.IP) {
	ips = slices.Clone(c.IPs)
	if ip := net.ParseIP(c.Hostname); ip != nil {
		if !slices.ContainsFunc(ips, ip.Equal) {
			ips = append(ips, ip)
		}
		return nil, ips
	}
	if c.Hostname != "" {
		dns = []string{c.Hostname}
	}
	return dns, ips
}

// The identity of a node: its user name is userPrefix and the node's name, its group is nodesGroup.
const (
	userPrefix = "system:node:"
	nodesGroup = "system:nodes"
)

// samePath reports whether two paths name the same file, also through links. If a file does not
// exist, only the paths are compared.
func samePath(a, b string) bool {
	if a == "" || b == "" {
		return false
	}
	if ia, err := os.Stat(a); err == nil {
		if ib, err := os.Stat(b); err == nil {
			return os.SameFile(ia, ib)
		}
	}
	absA, errA := filepath.Abs(a)
	absB, errB := filepath.Abs(b)
	return errA == nil && errB == nil && absA == absB
}
