package kubeletapi

import "crypto/tls"

// TLS is how connections are encrypted. The zero value is TLS 1.2 and newer with suites that have
// forward secrecy and authenticate what they encrypt.
type TLS struct {
	// MinVersion is tls.VersionTLS12 or tls.VersionTLS13; 0 is the former.
	MinVersion uint16
	// CipherSuites are for TLS 1.2; those of 1.3 cannot be chosen. Empty are the usual ones. HTTP/2
	// wants one of TLS_ECDHE_{ECDSA,RSA}_WITH_AES_128_GCM_SHA256 among them.
	CipherSuites []uint16
}

// usualSuites are those of TLS 1.2 against which nothing is known.
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
		// Asked for, not verified here: Auth does that for each request, so that
		// a change of the client authority concerns open connections too, and a
		// client with a token alone is let in.
		ClientAuth: tls.RequestClientCert,
		NextProtos: []string{"h2", "http/1.1"},
	}
	if len(config.CipherSuites) == 0 {
		config.CipherSuites = usualSuites()
	}
	return config
}
