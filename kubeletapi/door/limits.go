package door

import (
	"fmt"
	"math"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
)

// Limits bound connections. All are in connections, so in open files.
type Limits struct {
	// Pending are handshakes under way, and Strangers those whose client is not known. An address
	// has three quarters of the former at most, and a quarter of the latter.
	Pending, Strangers int
	// Tokens are connections of users who are known by a request, and Certified of those who are by
	// a certificate. A user has a quarter of the former at most, and half of the latter.
	Tokens, Certified int
}

// The most of each kind. Only floods reach them. They exist because slots cost memory.
const (
	mostPending   = 1024
	mostStrangers = 256
	mostTokens    = 1024
	mostCertified = 16384
	// least is how many there are at least of each kind, so that a small limit of open files does
	// not close the door.
	least = 4
)

// LimitsFor divides a number of open files.
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

// share is a part of a limit, and never nothing.
func share(of, numerator, denominator int) int { return max(1, of*numerator/denominator) }

// How long, in total, the door waits for a pending connection before that has to close for one that
// needs its slot. A client speaks as soon as it is connected, and does its part of a handshake in a
// few milliseconds and one round trip.
const (
	quietStay = 20 * time.Millisecond
	busyStay  = 250 * time.Millisecond
	// lookAgain is how soon the door looks again at one that does not wait for its client.
	lookAgain = 5 * time.Millisecond
)

// acceptBackoff spaces the attempts of a door that cannot accept because files or memory are short.
var acceptBackoff = wait.Backoff{Duration: 5 * time.Millisecond, Factor: 2, Steps: math.MaxInt, Cap: time.Second}
