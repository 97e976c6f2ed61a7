package tlsbootstrap

import (
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"go.uber.org/zap"
	authenticationv1 "k8s.io/api/authentication/v1"
	certificatesv1 "k8s.io/api/certificates/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	certutil "k8s.io/client-go/util/cert"
	"k8s.io/client-go/util/certificate/csr"

	"github.com/krustlet-go/krustlet-wasi/runtime/pause"
)

// request is a request for one certificate. Its CSR is created, or found again after a restart.
type request struct {
	client kubernetes.Interface
	log    *zap.Logger
	name   string // of the CSR object, unless another CSR has that name
	signer string
	usages []certificatesv1.KeyUsage
	cn     string
	dns    []string
	ips    []net.IP
	key    crypto.Signer
	// byUs: a CSR for our key that another user made is not ours, because the signer would not sign
	// it. It is false for bootstrap tokens: a CSR that one token made may go on with another token.
	byUs bool
	// pending is called once for each CSR object that someone has to approve.
	pending func(name string)
	// giveUp decides whether an error ends obtain. If it is nil, no error does.
	giveUp func(error) error

	announced types.UID
	self      string // our user name; empty until it is asked for
}

const (
	callTimeout = 15 * time.Second
	// roundTimeout is how long to wait for a certificate before the CSR is read again.
	// csr.WaitForCertificate does not see that a CSR was deleted before its watch began, or that
	// our credentials have expired.
	roundTimeout = 20 * time.Second
)

// obtain returns the certificate in PEM. It blocks until the certificate is issued, the CSR is
// refused (a *RefusedError), the key cannot be used (errSpoiltKey), giveUp returns an error, or ctx
// ends.
func (r *request) obtain(ctx context.Context) ([]byte, error) {
	backoff := newBackoff()
	for {
		cert, err := r.attempt(ctx)
		if err == nil {
			return cert, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		var refused *RefusedError
		if errors.As(err, &refused) || errors.Is(err, errSpoiltKey) {
			return nil, err
		}
		if r.giveUp != nil {
			if err := r.giveUp(err); err != nil {
				return nil, err
			}
		}
		if errors.Is(err, errPending) {
			backoff = newBackoff()
			continue
		}
		again := backoff.Step().Round(time.Millisecond)
		r.log.Warn("requesting a certificate did not succeed, will try again",
			zap.String("csr", r.name), zap.Duration("in", again), zap.Error(err))
		if pause.For(ctx, again) != nil {
			return nil, ctx.Err()
		}
	}
}

var (
	errPending = errors.New("the CSR is still waiting for approval")
	errGone    = errors.New("the CSR was deleted while it waited, it will be created again")
)

// attempt finds or creates the CSR, and waits for its certificate for one round.
func (r *request) attempt(ctx context.Context) ([]byte, error) {
	name, uid, issued, err := r.ensure(ctx)
	if err != nil {
		return nil, err
	}
	if issued != nil {
		return issued, nil
	}
	if r.announced != uid {
		r.announced = uid
		r.pending(name)
	}
	round, cancel := context.WithTimeout(ctx, roundTimeout)
	defer cancel()
	cert, err := csr.WaitForCertificate(round, r.client, name, uid)
	if err != nil {
		return nil, r.examine(ctx, name, uid, err)
	}
	if err := r.accept(cert); err != nil {
		return nil, err
	}
	return cert, nil
}

// examine finds out why there is no certificate after a wait. csr.WaitForCertificate says that only
// in the text of its error.
func (r *request) examine(ctx context.Context, name string, uid types.UID, waitErr error) error {
	found, err := r.get(ctx, name)
	switch {
	case apierrors.IsNotFound(err):
		return errGone
	case err != nil:
		return err
	case found.UID != uid:
		return errGone
	}
	if err := refusal(found); err != nil {
		return err
	}
	if wait.Interrupted(waitErr) {
		if approved(found) {
			r.log.Warn("the CSR is approved but no certificate was issued: see whether the cluster's signer (kube-controller-manager) runs, and signs for its requestor",
				zap.String("csr", name), zap.String("signer", r.signer), zap.String("requestor", found.Spec.Username))
		}
		return errPending
	}
	return fmt.Errorf("waiting for CSR %s: %w", name, waitErr)
}

func approved(found *certificatesv1.CertificateSigningRequest) bool {
	return slices.ContainsFunc(found.Status.Conditions, func(c certificatesv1.CertificateSigningRequestCondition) bool {
		return c.Type == certificatesv1.CertificateApproved
	})
}

// ensure finds our CSR or creates it. issued is the certificate, if the CSR is already signed.
func (r *request) ensure(ctx context.Context) (name string, uid types.UID, issued []byte, err error) {
	names := []string{r.name, r.name + "-" + keyHash(r.key.Public())}
	found := make([]*certificatesv1.CertificateSigningRequest, len(names))
	for i, name := range names {
		found[i], err = r.get(ctx, name)
		if err != nil && !apierrors.IsNotFound(err) {
			return "", "", nil, fmt.Errorf("looking for CSR %s: %w", name, err)
		}
		if err == nil && r.owns(found[i]) {
			mine, err := r.madeByUs(ctx, found[i])
			if err != nil {
				return "", "", nil, err
			}
			if mine {
				return r.resume(found[i])
			}
		}
		if err != nil {
			found[i] = nil
		}
	}
	for i, name := range names {
		if found[i] != nil && !r.clear(ctx, found[i]) {
			continue
		}
		uid, err := r.create(ctx, name)
		return name, uid, nil, err
	}
	return "", "", nil, errSpoiltKey
}

// resume goes on with a CSR that we made before.
func (r *request) resume(found *certificatesv1.CertificateSigningRequest) (string, types.UID, []byte, error) {
	if err := refusal(found); err != nil {
		return "", "", nil, err
	}
	if len(found.Status.Certificate) == 0 {
		return found.Name, found.UID, nil, nil
	}
	if err := r.accept(found.Status.Certificate); err != nil {
		return "", "", nil, err
	}
	return found.Name, found.UID, found.Status.Certificate, nil
}

// clear deletes a CSR that has the name we want, if it is for the same signer and the API server
// allows that. It reports whether the name is free.
func (r *request) clear(ctx context.Context, other *certificatesv1.CertificateSigningRequest) bool {
	if other.Spec.SignerName != r.signer {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	err := r.client.CertificatesV1().CertificateSigningRequests().Delete(ctx, other.Name,
		metav1.DeleteOptions{Preconditions: metav1.NewUIDPreconditions(string(other.UID))})
	if err == nil {
		r.log.Info("a CSR of this name was made with another key, replacing it", zap.String("csr", other.Name))
		return true
	}
	if apierrors.IsNotFound(err) {
		return true
	}
	r.log.Info("a CSR of this name was made with another key and may not be deleted, using another name",
		zap.String("csr", other.Name), zap.String("instead", r.name+"-"+keyHash(r.key.Public())), zap.Error(err))
	return false
}

func (r *request) create(ctx context.Context, name string) (types.UID, error) {
	data, err := certutil.MakeCSRFromTemplate(r.key, &x509.CertificateRequest{
		Subject:     pkix.Name{CommonName: r.cn, Organization: []string{nodesGroup}},
		DNSNames:    r.dns,
		IPAddresses: r.ips,
	})
	if err != nil {
		return "", fmt.Errorf("making a certificate request: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	_, uid, err := csr.RequestCertificateWithContext(ctx, r.client, data, name, r.signer, nil, r.usages, r.key)
	if err != nil {
		return "", fmt.Errorf("creating CSR %s: %w", name, err)
	}
	r.log.Info("created a certificate signing request", zap.String("csr", name), zap.String("signer", r.signer))
	return uid, nil
}

func (r *request) get(ctx context.Context, name string) (*certificatesv1.CertificateSigningRequest, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return r.client.CertificatesV1().CertificateSigningRequests().Get(ctx, name, metav1.GetOptions{})
}

// madeByUs reports whether we made the CSR. Others can read our CSR and copy it.
func (r *request) madeByUs(ctx context.Context, found *certificatesv1.CertificateSigningRequest) (bool, error) {
	if !r.byUs {
		return true, nil
	}
	if r.self == "" {
		ctx, cancel := context.WithTimeout(ctx, callTimeout)
		defer cancel()
		review, err := r.client.AuthenticationV1().SelfSubjectReviews().Create(ctx, &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
		if err != nil {
			return false, fmt.Errorf("asking the API server who we are: %w", err)
		}
		r.self = review.Status.UserInfo.Username
	}
	if found.Spec.Username != r.self {
		r.log.Warn("a CSR for our key was made by another user, who copied ours: do not approve it",
			zap.String("csr", found.Name), zap.String("requestor", found.Spec.Username), zap.String("we", r.self))
		return false, nil
	}
	return true, nil
}

// owns reports whether a CSR has our key and asks for the certificate that we want.
func (r *request) owns(found *certificatesv1.CertificateSigningRequest) bool {
	block, _ := pem.Decode(found.Spec.Request)
	if block == nil || found.Spec.SignerName != r.signer {
		return false
	}
	req, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil || req.CheckSignature() != nil || !sameKey(r.key.Public(), req.PublicKey) {
		return false
	}
	return req.Subject.CommonName == r.cn &&
		slices.Equal(req.Subject.Organization, []string{nodesGroup}) &&
		slices.Equal(req.DNSNames, r.dns) &&
		slices.EqualFunc(req.IPAddresses, r.ips, net.IP.Equal)
}

// accept checks a certificate before it is used.
func (r *request) accept(data []byte) error {
	certs, err := certutil.ParseCertsPEM(data)
	if err != nil {
		return fmt.Errorf("%w: %w", errSpoiltKey, err)
	}
	if !sameKey(r.key.Public(), certs[0].PublicKey) {
		return fmt.Errorf("%w: it is for another key", errSpoiltKey)
	}
	if !time.Now().Before(certs[0].NotAfter) {
		return fmt.Errorf("%w: it expired on %s", errSpoiltKey, certs[0].NotAfter)
	}
	return nil
}

// keyHash is a short name for a public key: 10 hexadecimal digits.
func keyHash(public crypto.PublicKey) string {
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		// This cannot happen: we made the keys, and their kind has an encoding.
		panic(err)
	}
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:5])
}

// newBackoff returns pauses of about 1, 2, 4 … 30 s, each jittered upwards by up to a half.
func newBackoff() *wait.Backoff {
	return &wait.Backoff{Duration: time.Second, Factor: 2, Jitter: 0.5, Steps: 1 << 30, Cap: 30 * time.Second}
}
