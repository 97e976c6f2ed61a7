package credentials

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"

	"github.com/google/go-containerregistry/pkg/authn"
	corev1 "k8s.io/api/core/v1"
)

// Credential is what the node shows to a registry. The zero value is no credential.
type Credential struct {
	Username string
	Password string
	// IdentityToken and RegistryToken replace the name and password if a docker config has them.
	IdentityToken string
	RegistryToken string

	Owner Owner
}

// Owner says who owns a credential. The zero value is the node. Every pod of the node may use the
// node's own credentials.
type Owner struct {
	Kind      Kind   `json:"kind,omitempty"`
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name,omitempty"`
	UID       string `json:"uid,omitempty"`
}

// Kind is the kind of object that a credential comes from.
type Kind string

// The kinds of owners.
const (
	Node           Kind = ""
	Secret         Kind = "Secret"
	ServiceAccount Kind = "ServiceAccount"
)

// Auth is the credential in the form that the registry's client takes.
func (c Credential) Auth() authn.Authenticator {
	config := authn.AuthConfig{
		Username: c.Username, Password: c.Password, IdentityToken: c.IdentityToken, RegistryToken: c.RegistryToken,
	}
	if config == (authn.AuthConfig{}) {
		return authn.Anonymous
	}
	return authn.FromConfig(config)
}

// Hash identifies a credential without revealing it. It does not depend on the owner.
func (c Credential) Hash() string {
	c.Owner = Owner{}
	data, err := json.Marshal(c)
	if err != nil {
		panic(err) // it holds only strings
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// Pod is the pod for which an image is pulled.
type Pod struct {
	Namespace      string
	Name           string
	UID            string
	ServiceAccount string
	// Secrets are the pod's imagePullSecrets that could be read.
	Secrets []*corev1.Secret
}

// Keys are the credentials that a pod may use on this node. The zero value has none.
type Keys struct {
	pod     Pod
	secrets Keyring
	err     error // from reading the Secrets
	node    *Source
}

// Lookup returns the credentials for an image, in the order in which they must be tried. image is
// the full name of a repository. A plugin that fails is skipped. A Secret that cannot be read as a
// docker config is an error, as in the kubelet.
func (k Keys) Lookup(ctx context.Context, image string) ([]Credential, error) {
	found := k.secrets.Lookup(image)
	if k.node != nil {
		found = append(found, k.node.lookup(ctx, k.pod, image)...)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return found, k.err
}

// fromSecrets makes the keyring of a pod's Secrets. It skips Secrets of other types.
func fromSecrets(secrets []*corev1.Secret) (Keyring, error) {
	var keys Keyring
	var errs []error
	for _, s := range secrets {
		owner := Owner{Kind: Secret, Namespace: s.Namespace, Name: s.Name, UID: string(s.UID)}
		var auths map[string]Credential
		var err error
		switch {
		case s.Type == corev1.SecretTypeDockerConfigJson && len(s.Data[corev1.DockerConfigJsonKey]) > 0:
			auths, err = parseDockerConfig(s.Data[corev1.DockerConfigJsonKey])
		case s.Type == corev1.SecretTypeDockercfg && len(s.Data[corev1.DockerConfigKey]) > 0:
			auths, err = parseDockercfg(s.Data[corev1.DockerConfigKey])
		}
		if err != nil {
			errs = append(errs, &SecretError{Owner: owner, Err: err})
		}
		keys.add(auths, owner)
	}
	return keys, errors.Join(errs...)
}

// SecretError reports a Secret whose content is not a docker config.
type SecretError struct {
	Owner Owner
	Err   error
}

func (e *SecretError) Error() string {
	return "image pull secret " + e.Owner.Namespace + "/" + e.Owner.Name + ": " + e.Err.Error()
}

func (e *SecretError) Unwrap() error { return e.Err }
