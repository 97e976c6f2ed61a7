package access

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"time"

	"go.uber.org/zap"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/group"
	"k8s.io/apiserver/pkg/authentication/request/bearertoken"
	"k8s.io/apiserver/pkg/authentication/request/union"
	"k8s.io/apiserver/pkg/authentication/request/websocket"
	"k8s.io/apiserver/pkg/authentication/request/x509"
	"k8s.io/apiserver/pkg/authentication/token/cache"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/authorization/authorizerfactory"
	"k8s.io/client-go/kubernetes"
)

// Auth decides who a client is and what it may do. Both methods may block for
// as long as the cluster takes to answer, and are called concurrently.
type Auth interface {
	// Authenticate says who sent the request, or false if it carries nothing
	// that says so. An error is a proof that was not accepted, or that could not
	// be checked.
	Authenticate(r *http.Request) (user.Info, bool, error)
	// Certified names the user whose certificate the client has shown, if that is verified. It does
	// not ask the cluster.
	Certified(state *tls.ConnectionState) (name string, ok bool)
	// Authorize reports whether the user may do verb ("get", "create", ...) with the node's
	// subresource ("log", "proxy", ...). An error means that it is not known.
	Authorize(ctx context.Context, who user.Info, verb, subresource string) (bool, error)
}

// How long the kubelet believes answers of the cluster where nothing else is set:
// authentication.webhook.cacheTTL, authorization.webhook.cacheAuthorizedTTL and
// authorization.webhook.cacheUnauthorizedTTL.
const (
	DefaultTokenTTL   = 2 * time.Minute
	DefaultAllowedTTL = 5 * time.Minute
	DefaultDeniedTTL  = 30 * time.Second
)

// reviewTimeout bounds one TokenReview.
const reviewTimeout = 10 * time.Second

// reviewRetry is how often and how fast a failed review is repeated while the
// client waits: five attempts within about four seconds, as the kubelet does.
var reviewRetry = wait.Backoff{Duration: 500 * time.Millisecond, Factor: 1.5, Jitter: 0.2, Steps: 5}

// Config is what NewAuth needs. One of the two client authorities is
// required, the file counts if both are given.
type Config struct {
	// Client asks the API server as the node.
	Client   kubernetes.Interface
	NodeName string
	// ClientCAFile holds PEM certificates of the authority that signs client
	// certificates. It may change at any time.
	ClientCAFile string
	// ClientCAData is the same as bytes.
	ClientCAData []byte
	// Tokens lets clients in by a bearer token that the cluster knows.
	Tokens bool
	// How long answers of the cluster are believed: about a token, and that
	// something is allowed or denied. With 0 it is asked each time.
	TokenTTL, AllowedTTL, DeniedTTL time.Duration

	Log *zap.Logger
}

// delegated lets the cluster decide.
type delegated struct {
	nodeName      string
	certificates  authenticator.Request
	authenticator authenticator.Request
	authorizer    *thriftyAuthorizer
}

// New makes an Auth that verifies client certificates against the client authority and delegates
// all else to the API server, whose answers it believes for a while. It lets no client in that is
// anonymous.
func New(config Config) (Auth, error) {
	if config.Client == nil || config.NodeName == "" || config.Log == nil {
		return nil, errors.New("Config needs Client, NodeName and Log")
	}
	authority, err := newClientCA(config)
	if err != nil {
		return nil, err
	}
	certificates := x509.NewDynamic(authority.VerifyOptions, x509.CommonNameUserConversion)
	who := []authenticator.Request{certificates}
	if config.Tokens {
		reviews := cache.New(reviewer{config.Client.AuthenticationV1()}, false, config.TokenTTL, 0)
		thrifty := newThriftyTokens(reviews, config.TokenTTL)
		who = append(who, bearertoken.New(thrifty), websocket.NewProtocolAuthenticator(thrifty))
	}
	retry := reviewRetry
	may, err := authorizerfactory.DelegatingAuthorizerConfig{ // remembers nothing
		SubjectAccessReviewClient: config.Client.AuthorizationV1(),
		WebhookRetryBackoff:       &retry,
	}.New()
	if err != nil {
		return nil, fmt.Errorf("setting up authorization: %w", err)
	}
	return &delegated{
		nodeName:      config.NodeName,
		certificates:  certificates,
		authenticator: group.NewAuthenticatedGroupAdder(union.New(who...)),
		authorizer:    newThriftyAuthorizer(may, config.AllowedTTL, config.DeniedTTL),
	}, nil
}

func (d *delegated) Authenticate(r *http.Request) (user.Info, bool, error) {
	answer, known, err := d.authenticator.AuthenticateRequest(withAddress(r))
	if err != nil || !known {
		return nil, false, err
	}
	return answer.User, true, nil
}

func (d *delegated) Certified(state *tls.ConnectionState) (string, bool) {
	answer, known, err := d.certificates.AuthenticateRequest(&http.Request{TLS: state})
	if err != nil || !known {
		return "", false
	}
	return answer.User.GetName(), true
}

func (d *delegated) Authorize(ctx context.Context, who user.Info, verb, subresource string) (bool, error) {
	return d.authorizer.may(ctx, who, authorizer.AttributesRecord{
		User:            who,
		Verb:            verb,
		APIVersion:      "v1",
		Resource:        "nodes",
		Subresource:     subresource,
		Name:            d.nodeName,
		ResourceRequest: true,
	})
}
