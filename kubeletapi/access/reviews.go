package access

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/cache"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/util/webhook"
	authenticationclient "k8s.io/client-go/kubernetes/typed/authentication/v1"
	"k8s.io/utils/lru"

	"github.com/krustlet-go/krustlet-wasi/kubeletapi/door"
)

// ErrTooManyReviews is an error of Auth. The cluster was recently asked too often on behalf of this
// client. The client should try again later.
var ErrTooManyReviews = errors.New("too many questions to the API server about this client")

// pace is how often the cluster is asked: a number in each second, and a number at one time.
type pace struct {
	each  rate.Limit
	burst int
}

func (p pace) bucket() *rate.Limiter { return rate.NewLimiter(p.each, p.burst) }

// These limit how often the cluster is asked about tokens that it has not accepted, and about what
// a user may do. A program that reads metrics has a new token once an hour. A client that needs
// more questions is a stranger who guesses.
var (
	reviewsOfAddress = pace{2, 20}
	reviewsOfAll     = pace{20, 60}
	reviewsOfUser    = pace{50, 200}
)

// This many of each are remembered: tokens that were accepted, addresses, users, and answers about
// what users may do.
const (
	rememberedTokens    = 4096
	rememberedClients   = 4096
	rememberedDecisions = 8192
)

// buckets has a bucket for each client. It forgets the clients that it has not seen for the longest
// time.
type buckets struct {
	pace pace
	mu   sync.Mutex
	of   *lru.Cache
}

func newBuckets(p pace) *buckets { return &buckets{pace: p, of: lru.New(rememberedClients)} }

func (b *buckets) allow(client string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	bucket, ok := b.of.Get(client)
	if !ok {
		bucket = b.pace.bucket()
		b.of.Add(client, bucket)
	}
	return bucket.(*rate.Limiter).Allow() //nolint:forcetypeassert // the cache has nothing else
}

type addressKey struct{}

// withAddress adds the client's address to the request's context, for the code that checks tokens.
func withAddress(r *http.Request) *http.Request {
	address := r.RemoteAddr
	if at, err := netip.ParseAddrPort(address); err == nil {
		address = door.Address(at.Addr())
	}
	return r.WithContext(context.WithValue(r.Context(), addressKey{}, address))
}

// reviewer asks the cluster about tokens. An error means that there was no answer.
type reviewer struct {
	client authenticationclient.TokenReviewsGetter
}

// AuthenticateToken implements authenticator.Token.
func (r reviewer) AuthenticateToken(ctx context.Context, token string) (*authenticator.Response, bool, error) {
	ctx, cancel := context.WithTimeout(ctx, reviewTimeout)
	defer cancel()
	question := &authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: token}}
	var answer *authenticationv1.TokenReview
	err := webhook.WithExponentialBackoff(ctx, reviewRetry, func() (err error) {
		answer, err = r.client.TokenReviews().Create(ctx, question, metav1.CreateOptions{})
		return err
	}, webhook.DefaultShouldRetry)
	if err != nil {
		return nil, false, fmt.Errorf("asking the API server about a token: %w", err)
	}
	if !answer.Status.Authenticated {
		return nil, false, nil
	}
	who := answer.Status.User
	extra := map[string][]string{}
	for name, values := range who.Extra {
		extra[name] = values
	}
	return &authenticator.Response{User: &user.DefaultInfo{Name: who.Username, UID: who.UID, Groups: who.Groups, Extra: extra}}, true, nil
}

// thriftyTokens limits how often the cluster is asked about tokens that it does not know. A token
// that was accepted the last time costs nothing. A token that the cluster has just refused costs
// nothing either. An address from which an accepted token came does not share the limit for all
// addresses with strangers.
type thriftyTokens struct {
	next authenticator.Token

	good            *lru.Cache            // SHA-256 of accepted tokens
	bad             *cache.LRUExpireCache // SHA-256 of tokens that the cluster does not know
	badFor          time.Duration
	friends         *lru.Cache // addresses from which an accepted token came
	each            *buckets
	ofAll, ofFriend *rate.Limiter
}

func newThriftyTokens(next authenticator.Token, badFor time.Duration) *thriftyTokens {
	return &thriftyTokens{
		next: next, bad: cache.NewLRUExpireCache(rememberedTokens), badFor: badFor, good: lru.New(rememberedTokens), friends: lru.New(rememberedClients),
		each: newBuckets(reviewsOfAddress), ofAll: reviewsOfAll.bucket(), ofFriend: reviewsOfAll.bucket(),
	}
}

// AuthenticateToken implements authenticator.Token.
func (t *thriftyTokens) AuthenticateToken(ctx context.Context, token string) (*authenticator.Response, bool, error) {
	key := sha256.Sum256([]byte(token))
	address, _ := ctx.Value(addressKey{}).(string)
	if _, bad := t.bad.Get(key); bad {
		return nil, false, nil
	}
	if _, good := t.good.Get(key); !good && !t.allow(address) {
		return nil, false, ErrTooManyReviews
	}
	answer, known, err := t.next.AuthenticateToken(ctx, token)
	switch {
	case known && err == nil:
		t.good.Add(key, nil)
		t.friends.Add(address, nil)
	case ctx.Err() == nil:
		t.good.Remove(key)
		if err == nil && t.badFor > 0 {
			t.bad.Add(key, nil, t.badFor)
		}
	}
	return answer, known, err
}

func (t *thriftyTokens) allow(address string) bool {
	all := t.ofAll
	if _, friend := t.friends.Get(address); friend {
		all = t.ofFriend
	}
	return t.each.allow(address) && all.Allow()
}

// thriftyAuthorizer remembers answers for a while, and limits how often the cluster is asked about
// one user.
type thriftyAuthorizer struct {
	next            authorizer.Authorizer // it remembers nothing
	allowed, denied time.Duration
	answers         *cache.LRUExpireCache
	each            *buckets
}

func newThriftyAuthorizer(next authorizer.Authorizer, allowed, denied time.Duration) *thriftyAuthorizer {
	return &thriftyAuthorizer{
		next: next, allowed: allowed, denied: denied,
		answers: cache.NewLRUExpireCache(rememberedDecisions), each: newBuckets(reviewsOfUser),
	}
}

// may reports whether a user is allowed what attributes say.
func (a *thriftyAuthorizer) may(ctx context.Context, who user.Info, attributes authorizer.Attributes) (bool, error) {
	key := fmt.Sprintf("%q %q %q %q %q %q", who.GetName(), who.GetUID(), who.GetGroups(), who.GetExtra(), attributes.GetVerb(), attributes.GetSubresource())
	if answer, ok := a.answers.Get(key); ok {
		return answer.(bool), nil //nolint:forcetypeassert // the cache has nothing else
	}
	if !a.each.allow(who.GetName()) {
		return false, ErrTooManyReviews
	}
	decision, _, err := a.next.Authorize(ctx, attributes)
	if err != nil {
		return false, err
	}
	ok, long := decision == authorizer.DecisionAllow, a.denied
	if ok {
		long = a.allowed
	}
	if long > 0 {
		a.answers.Add(key, ok, long)
	}
	return ok, nil
}
