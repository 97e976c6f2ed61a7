// Package processor shares the processors among guests.
//
// # What it promises
//
// A guest with a limit of processor time must wait whenever it has used more than its limit,
// measured over Period (throttle.go). A guest that computes without a pause takes turns with other
// such guests: the number of them that run at a time is the number of processors (turns.go). A
// guest that sometimes waits for something never waits for a turn. So the agent, a guest that wakes
// up and a guest that is being killed find a free processor, even if many guests spin. The threads
// of guests also have a lower priority than the agent (priority.go).
//
// # Who calls it
//
// A Pace belongs to one guest. All its methods except Resize and Throttled are for the guest's
// thread. Only Look and Between block; they return early when their context ends. A Ticker and
// Turns belong to an engine and may be used from any goroutine. Ticker.Wait waits for the Ticker's
// goroutine, which runs only while guests run.
package processor
