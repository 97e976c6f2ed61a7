package credentials

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	kubeletconfig "k8s.io/kubelet/config/v1"
)

// ServiceAccounts reads service accounts and creates tokens for them. The API's client is one.
type ServiceAccounts = typedcorev1.ServiceAccountsGetter

// account is the service account for which a plugin is asked. The zero value is the node.
type account struct {
	owner       Owner
	token       string
	annotations map[string]string
	key         string // equal for accounts that may share an answer
}

// account returns the account for which a plugin is asked about a pod's image. It is nil if the
// plugin must not be asked.
func (p *plugin) account(ctx context.Context, pod Pod) (*account, error) {
	if p.token == nil {
		return &account{}, nil
	}
	if pod.ServiceAccount == "" {
		if *p.token.RequireServiceAccount {
			return nil, nil
		}
		return &account{}, nil
	}
	accounts := p.from.ServiceAccounts(pod.Namespace)
	sa, err := accounts.Get(ctx, pod.ServiceAccount, metav1.GetOptions{})
	if err != nil {
		return nil, fmt.Errorf("reading the service account %s/%s: %w", pod.Namespace, pod.ServiceAccount, err)
	}
	annotations, wanted := p.annotations(sa)
	if !wanted {
		return nil, nil
	}
	made, err := accounts.CreateToken(ctx, sa.Name, tokenRequest(pod, sa, p.token.ServiceAccountTokenAudience), metav1.CreateOptions{})
	if err != nil {
		return nil, fmt.Errorf("making a token of the service account %s/%s: %w", pod.Namespace, pod.ServiceAccount, err)
	}
	as := &account{
		owner: Owner{Kind: ServiceAccount, Namespace: sa.Namespace, Name: sa.Name, UID: string(sa.UID)},
		token: made.Status.Token, annotations: annotations,
	}
	shared := ""
	if p.token.CacheType == kubeletconfig.TokenServiceAccountTokenCacheType {
		sum := sha256.Sum256([]byte(as.token))
		shared = hex.EncodeToString(sum[:])
	}
	key, err := json.Marshal([]any{as.owner, annotations, shared}) // maps are written with sorted keys
	as.key = string(key)
	return as, err
}

func tokenRequest(pod Pod, sa *corev1.ServiceAccount, audience string) *authenticationv1.TokenRequest {
	return &authenticationv1.TokenRequest{
		ObjectMeta: metav1.ObjectMeta{UID: sa.UID},
		Spec: authenticationv1.TokenRequestSpec{
			Audiences: []string{audience},
			BoundObjectRef: &authenticationv1.BoundObjectReference{
				APIVersion: "v1", Kind: "Pod", Name: pod.Name, UID: types.UID(pod.UID),
			},
		},
	}
}

// annotations are the annotations of a service account that the plugin gets. The plugin is not
// asked if an annotation that it requires is missing.
func (p *plugin) annotations(sa *corev1.ServiceAccount) (found map[string]string, wanted bool) {
	found = map[string]string{}
	for _, key := range p.token.RequiredServiceAccountAnnotationKeys {
		value, ok := sa.Annotations[key]
		if !ok {
			return nil, false
		}
		found[key] = value
	}
	for _, key := range p.token.OptionalServiceAccountAnnotationKeys {
		if value, ok := sa.Annotations[key]; ok {
			found[key] = value
		}
	}
	return found, true
}
