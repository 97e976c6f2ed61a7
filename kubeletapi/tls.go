package kubeletapi

import "crypto/tls"

// TLS says how connections are encrypted. The zero value means TLS 1.2 and newer, and suites with
// forward secrecy and authenticated encryption.
type TLS struct {
	// MinVersion is tls.VersionTLS12 or tls.VersionTLS13. 0 means TLS 1.2.
	MinVersion uint16
	// CipherSuites are for TLS 1.2. The suites of TLS 1.3 cannot be chosen. Empty means the usual
	// suites. HTTP/2 needs one of TLS_ECDHE_{ECDSA,RSA}_WITH_AES_128_GCM_SHA256.
	CipherSuites []uint16
}

// usualSuites are the suites of TLS 1.2 that have no known weakness.
func usualSuites() []uint16 {
	return []uint16{
		tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
		tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
		tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
	}
}

func (t TLS) config(getCertificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)) *tls.Config {
	config := &tls.Config{
		MinVersion:     max(t.MinVersion, tls.VersionTLS12),
		CipherSuites:   t.CipherSuites,
		GetCertificate: getCertificate,
		// The certificate is only requested here. Auth verifies it for each request, so that a
		// change of the client authority counts for open connections, too, and a client that has
		// only a token gets in.
		ClientAuth: tls.RequestClientCert,
		NextProtos: []string{"h2", "http/1.1"},
	}
	if len(config.CipherSuites) == 0 {
		config.CipherSuites = usualSuites()
	}
	return config
}
