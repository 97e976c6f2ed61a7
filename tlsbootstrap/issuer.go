package tlsbootstrap

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"go.uber.org/zap"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/util/keyutil"

	"github.com/krustlet-go/krustlet-wasi/runtime/pause"
)

// issuer gets certificates of one kind: the first one and its renewals.
type issuer struct {
	log     *zap.Logger
	pending pendingKey
	// request returns the request for a certificate with that key.
	request func(key crypto.Signer) *request
	// store keeps a certificate and its key, both in PEM, and starts to use them.
	store func(certPEM, keyPEM []byte) error
	// refusedBackoff is the first pause after a refusal.
	refusedBackoff time.Duration
}

// once gets one certificate and stores it. Its errors come from request.obtain, or from the disk.
func (i *issuer) once(ctx context.Context) error {
	key, err := i.pending.load()
	if err != nil {
		return err
	}
	certPEM, err := i.request(key).obtain(ctx)
	if err != nil {
		return err
	}
	keyPEM, err := keyutil.MarshalPrivateKeyToPEM(key)
	if err != nil {
		return fmt.Errorf("encoding a private key: %w", err)
	}
	return i.store(certPEM, keyPEM)
}

// until tries until it has a certificate. After a refusal it pauses, and then requests one with a
// new key. It returns nil, or the context's error.
func (i *issuer) until(ctx context.Context) error {
	afterRefusal := wait.Backoff{Duration: i.refusedBackoff, Factor: 2, Steps: math.MaxInt, Cap: maxRefusedBackoff}
	retry := newBackoff()
	for {
		err := i.once(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		again := retry.Step().Round(time.Millisecond)
		var refused *RefusedError
		if errors.As(err, &refused) {
			again = afterRefusal.Step()
			i.log.Error("a certificate was refused, will ask again with a new key",
				zap.String("csr", refused.CSR), zap.String("condition", string(refused.Condition)),
				zap.String("reason", refused.Reason), zap.String("message", refused.Message), zap.Duration("in", again))
		} else {
			i.log.Error("no certificate yet, will try again", zap.Duration("in", again), zap.Error(err))
		}
		if pause.For(ctx, again) != nil {
			return ctx.Err()
		}
		if refused != nil || errors.Is(err, errSpoiltKey) {
			if _, err := i.pending.replace(); err != nil {
				i.log.Error("making a new key", zap.Error(err))
			}
		}
	}
}

// renew renews the certificate in time, until ctx ends. current returns the certificate that is in
// use.
func (i *issuer) renew(ctx context.Context, current func() *x509.Certificate) error {
	for {
		leaf := current()
		due := renewalTime(leaf, rand.Float64())
		i.log.Debug("certificate renewal is due", zap.Time("at", due), zap.Time("expires", leaf.NotAfter))
		if err := sleepUntil(ctx, due, time.Now); err != nil {
			return err
		}
		if err := i.until(ctx); err != nil {
			return err
		}
		i.log.Info("renewed a certificate", zap.Time("expires", current().NotAfter))
	}
}

// sleepUntil waits for a time of the wall clock. It waits in short steps, because the machine may
// sleep, and its clock may be set.
func sleepUntil(ctx context.Context, due time.Time, now func() time.Time) error {
	for left := due.Sub(now()); left > 0; left = due.Sub(now()) {
		if err := pause.For(ctx, min(left, time.Minute)); err != nil {
			return err
		}
	}
	return nil
}

// renewalTime is when a certificate is renewed: after 70 to 90 % of its lifetime. random is between
// 0 and 1, so nodes that were made together do not renew together.
func renewalTime(cert *x509.Certificate, random float64) time.Time {
	lifetime := cert.NotAfter.Sub(cert.NotBefore)
	return cert.NotBefore.Add(time.Duration(float64(lifetime) * (0.7 + 0.2*random)))
}
