package names

import "fmt"

// Reason is a class of errors of lookups.
type Reason uint8

// The reasons.
const (
	// Invalid: it is no name.
	Invalid Reason = iota + 1
	// Denied: the guest may not look up the name. No server was asked for it.
	Denied
	// NotFound: there is no such name.
	NotFound
	// NoAddress: the name exists, and has no address.
	NoAddress
	// NoAnswer: no server has answered in time. A later lookup may have an answer.
	NoAnswer
	// Failed: servers have answered that they cannot say, or what they said makes no sense.
	Failed
	// TooMany: too many lookups of the guest are under way.
	TooMany
	// NoServer: the guest has no servers to ask.
	NoServer
)

var reasonTexts = [...]string{
	Invalid:   "this is no name of a host",
	Denied:    "the guest may not look up this name",
	NotFound:  "there is no such name",
	NoAddress: "the name has no address",
	NoAnswer:  "no server answers",
	Failed:    "servers fail",
	TooMany:   "too many lookups are under way",
	NoServer:  "there is no name server",
}

func (r Reason) String() string {
	if int(r) < len(reasonTexts) && reasonTexts[r] != "" {
		return reasonTexts[r]
	}
	return fmt.Sprintf("reason %d", uint8(r))
}

// Error says why a lookup has failed. Its text does not have the name.
type Error struct {
	Reason Reason
	// RCode is the response code of the server that decided, in the words of DNS, such as NXDOMAIN
	// or SERVFAIL. It is empty if no server did.
	RCode string
	// Cause is an error below, or nil. Package errors does not see it, because the time-out of a
	// server is none of the caller's context.
	Cause error
}

// Error implements error.
func (e *Error) Error() string {
	text := "looking up a name: " + e.Reason.String()
	if e.RCode != "" {
		text += " (" + e.RCode + ")"
	}
	if e.Cause != nil {
		text += ": " + e.Cause.Error()
	}
	return text
}
