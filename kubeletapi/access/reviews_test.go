package access

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/token/cache"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
)

// tokens is a cluster that knows the tokens that begin with "good". It counts how often it is
// asked.
type tokens struct {
	asked  int
	failed error
}

func (t *tokens) AuthenticateToken(_ context.Context, token string) (*authenticator.Response, bool, error) {
	t.asked++
	if t.failed != nil {
		return nil, false, t.failed
	}
	return &authenticator.Response{User: &user.DefaultInfo{Name: token}}, strings.HasPrefix(token, "good"), nil
}

// from is the context of a request from an address.
func from(address string) context.Context {
	r := httptest.NewRequest(http.MethodGet, "/pods", nil)
	r.RemoteAddr = address
	return withAddress(r).Context()
}

// guess tries 1,000 unknown tokens in each second, from this number of addresses.
func guess(t *thriftyTokens, seconds, addresses int) (refused int) {
	for n := range seconds * 1000 {
		time.Sleep(time.Millisecond) // virtual
		address := fmt.Sprintf("[2001:db8:%x:%x::%x]:99", n%addresses>>16, n%addresses&0xffff, n)
		if _, _, err := t.AuthenticateToken(from(address), rand.Text()); errors.Is(err, ErrTooManyReviews) {
			refused++
		}
	}
	return refused
}

// docs/security.md: "For each address, the API server is asked about 20 unknown tokens at once and
// two in each second; and for all together about 60 at once and 20 in each second".
func TestStrangersReviewsAreBounded(t *testing.T) {
	for _, test := range []struct{ addresses, most int }{{1, 20 + 2*10 + 1}, {3, 3 * (20 + 2*10 + 1)}, {5000, 60 + 20*10 + 1}} {
		synctest.Test(t, func(t *testing.T) {
			all := &tokens{}
			refused := guess(newThriftyTokens(all, time.Minute), 10, test.addresses)
			if all.asked > test.most || all.asked < test.most/2 || refused != 10_000-all.asked {
				t.Errorf("%d addresses: asked %d times, want %d; %d were refused", test.addresses, all.asked, test.most, refused)
			}
		})
	}
}

// A known client is not delayed by the guesses of strangers, even if it has a new token.
//
// docs/security.md: "A client that was known before is not held up by strangers: tokens that were
// good cost nothing, and addresses that they came
// from do not share with strangers".
func TestKnownTokensAreNotHeldUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := &tokens{}
		thrifty := newThriftyTokens(all, time.Minute)
		ask := func(address, token string) error {
			_, known, err := thrifty.AuthenticateToken(from(address), token)
			if err == nil && !known {
				err = errors.New("not known")
			}
			return err
		}
		if err := ask("192.0.2.1:1", "good 1"); err != nil {
			t.Fatal(err)
		}
		guess(thrifty, 10, 5000)
		for range 100 {
			if err := ask("192.0.2.1:2", "good 1"); err != nil {
				t.Fatal(err)
			}
		}
		if err := ask("192.0.2.1:3", "good 2"); err != nil {
			t.Errorf("a new token from where one was good: %v", err)
		}
		if err := ask("192.0.2.2:3", "good 1"); err != nil {
			t.Errorf("a token that was good, from elsewhere: %v", err)
		}
		if err := ask("192.0.2.3:3", "good 3"); !errors.Is(err, ErrTooManyReviews) {
			t.Errorf("a new token among strangers': %v", err)
		}
		time.Sleep(10 * time.Second) // virtual
		if err := ask("192.0.2.3:3", "good 3"); err != nil {
			t.Errorf("a new token when strangers have stopped: %v", err)
		}
	})
}

// The cluster is asked once about a token that it does not know. A token that was accepted counts
// as a stranger's when the cluster does not accept it any more.
//
// docs/security.md: "A token that the API server does not know is answered with 401, for as long as
// answers about tokens are believed, without another question".
func TestBadTokensAreRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := &tokens{}
		thrifty := newThriftyTokens(all, time.Minute)
		for range 1000 {
			if _, known, err := thrifty.AuthenticateToken(from("192.0.2.1:1"), "bad"); known || err != nil {
				t.Fatal(known, err)
			}
		}
		if all.asked != 1 {
			t.Errorf("asked %d times", all.asked)
		}
		if _, known, _ := thrifty.AuthenticateToken(from("192.0.2.1:1"), "good"); !known {
			t.Error("not known")
		}
		all.failed = errors.New("away")
		for range 1000 {
			if _, known, err := thrifty.AuthenticateToken(from("192.0.2.1:1"), "good"); known || err == nil {
				t.Fatal(known, err)
			}
		}
		if all.asked > 2+1+20 {
			t.Errorf("asked %d times", all.asked)
		}
	})
}

// The memory that strangers can use is bounded.
func TestMemoryOfReviewsIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		thrifty := newThriftyTokens(&tokens{}, time.Hour)
		guess(thrifty, 20, 20_000)
		for range 2 * rememberedTokens {
			thrifty.bad.Add(rand.Text(), nil, time.Hour)
			thrifty.good.Add(rand.Text(), nil)
		}
		if a, b, c := thrifty.each.of.Len(), len(thrifty.bad.Keys()), thrifty.good.Len(); a > rememberedClients || b > rememberedTokens || c > rememberedTokens {
			t.Errorf("%d addresses, %d tokens that are not known and %d that are", a, b, c)
		}
	})
}

// undecided is an authorizer that allows something only to "jo". It counts how often it is asked
// about each user.
type undecided struct{ asked map[string]int }

func (u undecided) Authorize(_ context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
	u.asked[a.GetUser().GetName()]++
	if a.GetUser().GetName() == "jo" {
		return authorizer.DecisionAllow, "", nil
	}
	return authorizer.DecisionNoOpinion, "", nil
}

// docs/security.md: "It is asked 200 questions at once and 50 in each second about what one user
// may do".
func TestReviewsOfAUserAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := undecided{map[string]int{}}
		a := newThriftyAuthorizer(all, 0, 0)
		ask := func(name string) error {
			who := &user.DefaultInfo{Name: name}
			_, err := a.may(t.Context(), who, authorizer.AttributesRecord{User: who, Verb: "get", Subresource: "proxy"})
			return err
		}
		refused := 0
		for range 10_000 {
			time.Sleep(time.Millisecond) // virtual
			if errors.Is(ask("eve"), ErrTooManyReviews) {
				refused++
			}
		}
		if n := all.asked["eve"]; n > 200+50*10+1 || n < 500 || refused != 10_000-n {
			t.Errorf("asked %d times, refused %d", n, refused)
		}
		if err := ask("jo"); err != nil {
			t.Errorf("another user: %v", err)
		}
	})
}

// The settings say how long answers are believed.
//
// docs/security.md: "Answers are believed for a while: that something is allowed for 5 minutes,
// that it is not for 30 seconds".
func TestAnswersAreBelievedForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := undecided{map[string]int{}}
		a := newThriftyAuthorizer(all, DefaultAllowedTTL, DefaultDeniedTTL)
		ask := func(name, verb string) bool {
			who := &user.DefaultInfo{Name: name}
			ok, err := a.may(t.Context(), who, authorizer.AttributesRecord{User: who, Verb: verb, Subresource: "proxy"})
			if err != nil {
				t.Fatal(err)
			}
			return ok
		}
		for name, long := range map[string]time.Duration{"jo": 5 * time.Minute, "eve": 30 * time.Second} {
			for step, want := range []int{1, 1, 2} {
				if ask(name, "get") != (name == "jo") {
					t.Errorf("%s: the other answer", name)
				}
				if n := all.asked[name]; n != want {
					t.Errorf("%s: step %d: asked %d times, want %d", name, step, n, want)
				}
				time.Sleep(long*[]time.Duration{9, 2, 0}[step]/10 + time.Second) // virtual
			}
			ask(name, "create")
			if n := all.asked[name]; n != 3 {
				t.Errorf("%s: another verb: asked %d times", name, n)
			}
		}
	})
}

// docs/security.md: "about tokens for 2 minutes".
func TestTokensAreBelievedForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := &tokens{}
		thrifty := newThriftyTokens(cache.New(all, false, DefaultTokenTTL, 0), DefaultTokenTTL)
		for _, token := range []string{"good", "bad"} {
			all.asked = 0
			for step, want := range []int{1, 1, 2} {
				_, known, err := thrifty.AuthenticateToken(from("192.0.2.1:1"), token)
				if known != (token == "good") || err != nil {
					t.Errorf("%s: %t, %v", token, known, err)
				}
				if all.asked != want {
					t.Errorf("%s, step %d: asked %d times, want %d", token, step, all.asked, want)
				}
				time.Sleep([]time.Duration{110 * time.Second, 11 * time.Second, 0}[step]) // virtual
			}
		}
	})
}
