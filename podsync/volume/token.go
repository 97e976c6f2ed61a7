package volume

import (
	"context"
	"fmt"
	"time"

	"go.uber.org/zap"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// tokenKey is a token of the pod's service account. Each volume has its own.
type tokenKey struct {
	volume   string
	audience string
	seconds  int64
}

type token struct {
	value   string
	renewAt time.Time
	expires time.Time
}

// tokenAge is the age at which every token is renewed.
const tokenAge = 24 * time.Hour

// token is the service account token that a volume shows. It is renewed after 80 % of its life, or
// after a day. If the renewal fails, the old one is shown until it expires.
func (v *Volumes) token(ctx context.Context, pod *corev1.Pod, volume string, source *corev1.ServiceAccountTokenProjection) (string, error) {
	key := tokenKey{volume, source.Audience, 3600}
	if source.ExpirationSeconds != nil {
		key.seconds = *source.ExpirationSeconds
	}
	last, ok := v.tokens[key]
	now := time.Now()
	if ok && now.Before(last.renewAt) {
		return last.value, nil
	}
	next, err := v.requestToken(ctx, pod, key, now)
	if err != nil {
		err = fmt.Errorf("failed to fetch token: %w", err)
		if ok && now.Before(last.expires) {
			v.Log.Warn("cannot renew a token, will try again", zap.String("volume", volume), zap.Error(err))
			return last.value, nil
		}
		return "", err
	}
	v.tokens[key] = next
	return next.value, nil
}

// requestToken requests a token that is bound to the pod. When the pod is deleted, the token is not
// valid any more.
func (v *Volumes) requestToken(ctx context.Context, pod *corev1.Pod, key tokenKey, now time.Time) (token, error) {
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
		ExpirationSeconds: &key.seconds,
		BoundObjectRef:    &authenticationv1.BoundObjectReference{Kind: "Pod", APIVersion: "v1", Name: pod.Name, UID: pod.UID},
	}}
	if key.audience != "" {
		request.Spec.Audiences = []string{key.audience}
	}
	account := pod.Spec.ServiceAccountName
	if account == "" {
		account = "default"
	}
	var answer *authenticationv1.TokenRequest
	err := v.ask(ctx, func() (err error) {
		answer, err = v.Client.CoreV1().ServiceAccounts(pod.Namespace).CreateToken(ctx, account, request, metav1.CreateOptions{})
		return err
	})
	if err != nil {
		return token{}, err
	}
	expires := answer.Status.ExpirationTimestamp.Time
	renewAt := expires.Add(-expires.Sub(now) / 5)
	if day := now.Add(tokenAge); renewAt.After(day) {
		renewAt = day
	}
	return token{answer.Status.Token, renewAt, expires}, nil
}
