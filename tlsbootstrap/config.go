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
	// BootstrapFile is a kubeconfig with a bootstrap token. It is read only when there is no usable
	// Kubeconfig, and never written.
	BootstrapFile string
	// Kubeconfig is where the node's own kubeconfig is, or is written.
	Kubeconfig string
	// NodeName is the name of the Node object: a DNS subdomain.
	NodeName string
	// Hostname and IPs are the names by which the node's HTTPS API is reached.
	Hostname string
	IPs      []net.IP
	// CertFile and KeyFile hold the serving pair in PEM, or are written.
	CertFile, KeyFile string
	// Stdout takes the lines that tell a person, or a script, to approve the serving certificate.
	// Nil: nowhere.
	Stdout io.Writer
	// Rotated is called with the age of a serving certificate that has just been replaced, unless
	// it is nil.
	Rotated func(age time.Duration)
	// Log is nil for no log.
	Log *zap.Logger

	// ContactTimeout bounds how long Join waits for the first answer of the API server. After a
	// first answer it waits as long as its context lets it. 0: DefaultContactTimeout.
	ContactTimeout time.Duration
	// RefusedBackoff is the pause after a denied or failed CSR before another one is made with a
	// new key; it doubles up to an hour. 0: DefaultRefusedBackoff.
	RefusedBackoff time.Duration
}

// Defaults of Config.
const (
	DefaultContactTimeout = time.Minute
	DefaultRefusedBackoff = time.Minute

	maxRefusedBackoff = time.Hour
)

// withDefaults returns a copy whose optional fields are all set.
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

// servingCSRName is HOSTNAME-tls. Object names are lower case; host names need not be.
func (c Config) servingCSRName() string {
	host := c.Hostname
	if host == "" {
		host = c.NodeName
	}
	return strings.ToLower(host) + "-tls"
}

// commonName is the user name that the API server sees in the node's certificates.
func (c Config) commonName() string { return userPrefix + c.NodeName }

// servingNames are the subject alternative names of the serving certificate. A hostname that is an
// address is one: as a DNS name, clients would not match it.
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

// The identity of nodes: their user name is userPrefix + node name, their group nodesGroup.
const (
	userPrefix = "system:node:"
	nodesGroup = "system:nodes"
)

// samePath reports whether two paths name one file, links included. Files that are not there are
// compared by name.
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
