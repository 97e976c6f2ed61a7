package tlsbootstrap

import (
	"crypto/tls"
	"errors"
	"fmt"

	certificatesv1 "k8s.io/api/certificates/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// RefusedError means that an approver denied a CSR, or that the signer failed it.
type RefusedError struct {
	// CSR is the name of the CSR object.
	CSR string
	// Condition is Denied or Failed.
	Condition certificatesv1.RequestConditionType
	// Reason and Message are those of the approver or the signer.
	Reason, Message string
}

func (e *RefusedError) Error() string {
	verb := "was denied"
	if e.Condition == certificatesv1.CertificateFailed {
		verb = "failed at the signer"
	}
	return fmt.Sprintf("certificate signing request %s %s (reason %s: %q)", e.CSR, verb, e.Reason, e.Message)
}

// refusal returns the refusal in a CSR's conditions, or nil if there is none.
func refusal(csr *certificatesv1.CertificateSigningRequest) error {
	for _, c := range csr.Status.Conditions {
		if c.Type == certificatesv1.CertificateDenied || c.Type == certificatesv1.CertificateFailed {
			return &RefusedError{CSR: csr.Name, Condition: c.Type, Reason: c.Reason, Message: c.Message}
		}
	}
	return nil
}

// errSpoiltKey means that the CSR for our key exists but cannot be used, so only a new key helps.
var errSpoiltKey = errors.New("the certificate issued for this key cannot be used")

// untrusted reports whether the server's certificate was not accepted. A retry does not help.
func untrusted(err error) bool {
	var bad *tls.CertificateVerificationError
	return errors.As(err, &bad)
}

// rejected reports whether the API server understood the request and refused it.
func rejected(err error) bool {
	return apierrors.IsUnauthorized(err) || apierrors.IsForbidden(err) ||
		apierrors.IsInvalid(err) || apierrors.IsBadRequest(err)
}

// answered reports whether the error is an answer of an API server, and not a failure to reach it.
func answered(err error) bool {
	var status apierrors.APIStatus
	return errors.As(err, &status)
}

// explain adds to an error of the bootstrap what the user should do.
func explain(err error, server, file string) error {
	var refused *RefusedError
	switch {
	case errors.As(err, &refused):
		return fmt.Errorf("%w: if the node should join, run kubectl delete csr %s and start again", err, refused.CSR)
	case apierrors.IsUnauthorized(err):
		return fmt.Errorf("%s does not accept the token of %s, which has expired or is unknown: run hack/bootstrap.sh again: %w", server, file, err)
	case apierrors.IsForbidden(err):
		return fmt.Errorf("%s does not let the token of %s request certificates, its group needs the cluster role system:node-bootstrapper: %w", server, file, err)
	case untrusted(err):
		return fmt.Errorf("%s cannot be trusted with the certificate authority of %s: %w", server, file, err)
	default:
		return err
	}
}
