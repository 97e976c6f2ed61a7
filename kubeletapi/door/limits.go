package door

import (
	"fmt"
	"math"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
)

// Limits bound numbers of connections. Each connection is an open file.
type Limits struct {
	// Pending bounds the handshakes under way. Strangers bounds the connections whose client is not
	// known. One address has at most three quarters of Pending, and a quarter of Strangers.
	Pending, Strangers int
	// Tokens bounds the connections of users who are known by a request. Certified bounds those of
	// users who are known by a certificate. One user has at most a quarter of Tokens, and half of
	// Certified.
	Tokens, Certified int
}

// These are the largest limits. Only floods reach them. They exist because slots cost memory.
const (
	mostPending   = 1024
	mostStrangers = 256
	mostTokens    = 1024
	mostCertified = 16384
	// least is the smallest limit of each kind, so that a small limit of open files does not close
	// the door.
	least = 4
)

// LimitsFor divides a number of open files among the kinds.
func LimitsFor(files int) Limits {
	share := func(most, part int) int { return max(least, min(most, files/part)) }
	l := Limits{Pending: share(mostPending, 8), Strangers: share(mostStrangers, 16), Tokens: share(mostTokens, 8)}
	l.Certified = max(least, min(mostCertified, files-l.Pending-l.Strangers-l.Tokens))
	return l
}

// Files is how many files are open at most.
func (l Limits) Files() int { return l.Pending + l.Strangers + l.Tokens + l.Certified }

func (l Limits) check() error {
	if l.Pending < 1 || l.Strangers < 1 || l.Tokens < 1 || l.Certified < 1 {
		return fmt.Errorf("door: limits of connections must be positive: %+v", l)
	}
	return nil
}

// share is a part of a limit, and at least 1.
func share(of, numerator, denominator int) int { return max(1, of*numerator/denominator) }

// This is how long, in total, the door waits for a pending connection before that connection must
// close for one that needs its slot. A client speaks as soon as it is connected. Its part of a
// handshake takes a few milliseconds and one round trip.
const (
	quietStay = 20 * time.Millisecond
	busyStay  = 250 * time.Millisecond
	// lookAgain is how soon the door looks again at a connection that does not wait for its client.
	lookAgain = 5 * time.Millisecond
)

// acceptBackoff is the pauses between the attempts of a door that cannot accept, because files or
// memory are short.
var acceptBackoff = wait.Backoff{Duration: 5 * time.Millisecond, Factor: 2, Steps: math.MaxInt, Cap: time.Second}
