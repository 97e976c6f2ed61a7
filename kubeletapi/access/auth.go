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

// Auth decides who a client is and what it may do. Authenticate and Authorize may block until the
// cluster answers. All methods may be called concurrently.
type Auth interface {
	// Authenticate returns who sent the request, or false if the request does not say. It returns
	// an error if a certificate or token was not accepted, or could not be checked.
	Authenticate(r *http.Request) (user.Info, bool, error)
	// Certified returns the name of the user whose verified certificate the client has shown. It
	// does not ask the cluster.
	Certified(state *tls.ConnectionState) (name string, ok bool)
	// Authorize reports whether the user may do verb ("get", "create", ...) with the node's
	// subresource ("log", "proxy", ...). An error means that the answer is not known.
	Authorize(ctx context.Context, who user.Info, verb, subresource string) (bool, error)
}

// This is how long the kubelet believes answers of the cluster by default:
// authentication.webhook.cacheTTL, authorization.webhook.cacheAuthorizedTTL and
// authorization.webhook.cacheUnauthorizedTTL.
const (
	DefaultTokenTTL   = 2 * time.Minute
	DefaultAllowedTTL = 5 * time.Minute
	DefaultDeniedTTL  = 30 * time.Second
)

// reviewTimeout bounds one TokenReview.
const reviewTimeout = 10 * time.Second

// reviewRetry says how often, and after which pauses, a failed review is repeated while the client
// waits. As in the kubelet, there are five attempts within about four seconds.
var reviewRetry = wait.Backoff{Duration: 500 * time.Millisecond, Factor: 1.5, Jitter: 0.2, Steps: 5}

// Config is what New needs. One of the two client authorities is required. If both are given, the
// file is used.
type Config struct {
	// Client asks the API server as the node.
	Client   kubernetes.Interface
	NodeName string
	// ClientCAFile is a file with the PEM certificates of the authority that signs client
	// certificates. The file may change at any time.
	ClientCAFile string
	// ClientCAData has such PEM certificates as bytes.
	ClientCAData []byte
	// Tokens lets clients in that have a bearer token which the cluster knows.
	Tokens bool
	// These say how long an answer of the cluster is believed: about a token, that something is
	// allowed, and that something is denied. With 0 the cluster is asked each time.
	TokenTTL, AllowedTTL, DeniedTTL time.Duration

	Log *zap.Logger
}

// delegated is an Auth that asks the cluster.
type delegated struct {
	nodeName      string
	certificates  authenticator.Request
	authenticator authenticator.Request
	authorizer    *thriftyAuthorizer
}

// New makes an Auth. It verifies client certificates with the client authority. It asks the API
// server about everything else, and believes an answer for a while. It lets no anonymous client in.
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
	may, err := authorizerfactory.DelegatingAuthorizerConfig{ // it remembers nothing
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
