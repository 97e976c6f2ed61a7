package credentials

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	kubeletconfig "k8s.io/kubelet/config/v1"
	protocol "k8s.io/kubelet/pkg/apis/credentialprovider/v1"
)

// plugin is a credential provider: a program that answers which credentials an image needs.
type plugin struct {
	name    string
	images  []string // patterns
	keeps   time.Duration
	command command
	token   *kubeletconfig.ServiceAccountTokenAttributes // nil: the plugin's answer does not depend on a service account
	from    ServiceAccounts

	mu      sync.Mutex
	answers map[answerKey]answer
	running map[string]chan struct{} // by image and account; closed when the program has exited
}

// answerKey says what an answer is for: an image, a registry, or everything. It also has an account
// if the plugin wants one.
type answerKey struct{ what, account string }

// everything cannot be the name of an image or a registry.
const everything = "*"

// answer is a plugin's answer. It is valid until a time.
type answer struct {
	auths map[string]Credential
	until time.Time
}

func newPlugin(p kubeletconfig.CredentialProvider, program string, accounts ServiceAccounts) *plugin {
	made := &plugin{
		name: p.Name, images: p.MatchImages, keeps: p.DefaultCacheDuration.Duration,
		command: command{program: program, args: p.Args},
		token:   p.TokenAttributes, from: accounts,
		answers: map[answerKey]answer{}, running: map[string]chan struct{}{},
	}
	for _, v := range p.Env {
		made.command.env = append(made.command.env, v.Name+"="+v.Value)
	}
	return made
}

// provide returns the plugin's credentials for an image. Their owner is the account for which the
// plugin was asked.
func (p *plugin) provide(ctx context.Context, pod Pod, image string) (Keyring, error) {
	if !slices.ContainsFunc(p.images, func(pattern string) bool { return matches(pattern, image) }) {
		return Keyring{}, nil
	}
	as, err := p.account(ctx, pod)
	if err != nil || as == nil {
		return Keyring{}, err
	}
	auths, err := p.ask(ctx, image, *as)
	if err != nil {
		return Keyring{}, err
	}
	var keys Keyring
	keys.add(auths, as.owner)
	return keys, nil
}

// ask returns a stored answer or runs the program. Concurrent callers with the same question wait
// for the first one.
func (p *plugin) ask(ctx context.Context, image string, as account) (map[string]Credential, error) {
	flight := image + "\n" + as.key
	for {
		p.mu.Lock()
		if kept, ok := p.kept(image, as.key); ok {
			p.mu.Unlock()
			return kept, nil
		}
		other, runs := p.running[flight]
		done := make(chan struct{})
		if !runs {
			p.running[flight] = done
		}
		p.mu.Unlock()
		if runs {
			select {
			case <-other:
				continue
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		auths, err := p.execute(ctx, image, as)
		p.mu.Lock()
		delete(p.running, flight)
		close(done)
		p.mu.Unlock()
		return auths, err
	}
}

// kept returns an answer that is still valid, and removes those that are not.
func (p *plugin) kept(image, account string) (map[string]Credential, bool) {
	now := time.Now()
	maps.DeleteFunc(p.answers, func(_ answerKey, a answer) bool { return !now.Before(a.until) })
	for _, what := range []string{image, registryOf(image), everything} {
		if a, ok := p.answers[answerKey{what, account}]; ok {
			return a.auths, true
		}
	}
	return nil, false
}

func registryOf(image string) string {
	host, _, _ := strings.Cut(image, "/")
	return host
}

// execute runs the program, and takes its answer.
func (p *plugin) execute(ctx context.Context, image string, as account) (map[string]Credential, error) {
	response, err := p.command.run(ctx, protocol.CredentialProviderRequest{
		Image: image, ServiceAccountToken: as.token, ServiceAccountAnnotations: as.annotations,
	})
	if err != nil {
		return nil, err
	}
	return p.take(response, image, as)
}

// take reads the credentials of an answer, and keeps them for the time that the answer gives.
func (p *plugin) take(response *protocol.CredentialProviderResponse, image string, as account) (map[string]Credential, error) {
	var what string
	switch response.CacheKeyType {
	case protocol.ImagePluginCacheKeyType:
		what = image
	case protocol.RegistryPluginCacheKeyType:
		what = registryOf(image)
	case protocol.GlobalPluginCacheKeyType:
		what = everything
	default:
		return nil, fmt.Errorf("its answer has the cacheKeyType %q, which is none of Image, Registry and Global", response.CacheKeyType)
	}
	auths := make(map[string]Credential, len(response.Auth))
	for pattern, a := range response.Auth {
		if as.token != "" && a.Password == as.token && p.token.CacheType != kubeletconfig.TokenServiceAccountTokenCacheType {
			// Otherwise the answer would be kept for pods that must not have this token.
			return nil, errors.New("it answers with the service account's token itself, for which its cacheType must be Token")
		}
		auths[pattern] = Credential{Username: a.Username, Password: a.Password}
	}
	keeps := p.keeps
	if response.CacheDuration != nil {
		keeps = response.CacheDuration.Duration
	}
	if keeps > 0 {
		p.mu.Lock()
		p.answers[answerKey{what, as.key}] = answer{auths: auths, until: time.Now().Add(keeps)}
		p.mu.Unlock()
	}
	return auths, nil
}
