package controlplane

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

const (
	authorityLifetime   = 10 * 365 * 24 * time.Hour
	certificateLifetime = 365 * 24 * time.Hour
	// backdate makes certificates valid even for a client whose clock is a little slow.
	backdate = 5 * time.Minute
)

// serviceIP is the address of the kubernetes service, the first of serviceCIDR.
var serviceIP = net.IPv4(10, 96, 0, 1)

// authority is a certificate authority of the cluster.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

// identity is the purpose of a certificate.
type identity struct {
	// file is the file's name below the pki folder, without extension.
	file string
	// user and group name a client to the API server.
	user, group string
	// server and client say for which side the certificate may be used.
	server, client bool
}

// Identities that the cluster's authority signs.
var clusterIdentities = []identity{
	{file: "kube-apiserver", user: "kube-apiserver", server: true},
	{file: "kube-apiserver-kubelet-client", user: kubeletClientUser, client: true},
	{file: "kube-controller-manager", user: "system:kube-controller-manager", server: true, client: true},
	{file: "kube-scheduler", user: "system:kube-scheduler", server: true, client: true},
	{file: "admin", user: "kubernetes-admin", group: "system:masters", client: true},
}

// Identities that etcd's own authority signs. etcd does not trust the cluster's authority, which
// also signs certificates of nodes.
var etcdIdentities = []identity{
	// A member is also its own client.
	{file: "etcd-server", user: "etcd", server: true, client: true},
	{file: "etcd-client", user: "kube-apiserver-etcd-client", client: true},
}

// Identities that the front proxy's authority signs. As a proxy, the API server tells other API
// servers, such as metrics-server, who the client is. They believe a proxy with such a certificate.
var frontProxyIdentities = []identity{
	{file: "front-proxy-client", user: frontProxyUser, client: true},
}

const frontProxyUser = "front-proxy-client"

// makePKI writes authorities, certificates, and the key for service account tokens into the folder.
// Only the owner can read the keys.
func makePKI(dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return fmt.Errorf("making the certificates' folder: %w", err)
	}
	for _, set := range []struct {
		file, name string
		identities []identity
	}{
		{"ca", "kubernetes", clusterIdentities},
		{"etcd-ca", "etcd", etcdIdentities},
		{"front-proxy-ca", "front-proxy", frontProxyIdentities},
	} {
		ca, err := newAuthority(dir, set.file, set.name)
		if err != nil {
			return fmt.Errorf("making the certificate authority %s: %w", set.name, err)
		}
		for _, id := range set.identities {
			if err := ca.issue(dir, id); err != nil {
				return fmt.Errorf("making the certificate %s: %w", id.file, err)
			}
		}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("making the service account key: %w", err)
	}
	return writeKey(filepath.Join(dir, "sa.key"), key)
}

func newAuthority(dir, file, name string) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template, err := certificateTemplate(authorityLifetime)
	if err != nil {
		return nil, err
	}
	template.Subject = pkix.Name{CommonName: name}
	template.IsCA = true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign | x509.KeyUsageDigitalSignature
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	if err := writePair(dir, file, der, key); err != nil {
		return nil, err
	}
	return &authority{certificate: certificate, key: key}, nil
}

func (a *authority) issue(dir string, id identity) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template, err := certificateTemplate(certificateLifetime)
	if err != nil {
		return err
	}
	template.Subject = pkix.Name{CommonName: id.user}
	if id.group != "" {
		template.Subject.Organization = []string{id.group}
	}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	if id.client {
		template.ExtKeyUsage = append(template.ExtKeyUsage, x509.ExtKeyUsageClientAuth)
	}
	if id.server {
		template.ExtKeyUsage = append(template.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
		template.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1), serviceIP}
		template.DNSNames = []string{
			"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc",
			"kubernetes.default.svc.cluster.local",
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, key.Public(), a.key)
	if err != nil {
		return err
	}
	return writePair(dir, id.file, der, key)
}

// certificateTemplate has the fields that all certificates share.
func certificateTemplate(lifetime time.Duration) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	now := time.Now()
	return &x509.Certificate{
		SerialNumber:          serial,
		NotBefore:             now.Add(-backdate),
		NotAfter:              now.Add(lifetime),
		BasicConstraintsValid: true,
	}, nil
}

func writePair(dir, file string, der []byte, key *ecdsa.PrivateKey) error {
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	if err := os.WriteFile(filepath.Join(dir, file+".crt"), block, 0o644); err != nil {
		return err
	}
	return writeKey(filepath.Join(dir, file+".key"), key)
}

func writeKey(file string, key *ecdsa.PrivateKey) error {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	block := pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})
	return os.WriteFile(file, block, 0o600)
}
