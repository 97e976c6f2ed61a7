// Package processor shares the processors among guests.
//
// # What it promises
//
// A guest with a limit of processor time is held back whenever it has used more than its limit,
// seen over Period (throttle.go). What all its threads use counts. A guest that computes without a
// pause takes turns with the others that do: as many of them run at a time as there are processors
// (turns.go). A guest that waits for something now and then never waits for a turn. So the agent, a
// guest that wakes and a guest that is being killed find a free processor, however many guests
// spin. The threads of guests also have a lower priority than the agent (priority.go).
//
// # Who calls it
//
// A Pace belongs to one guest, which may have several threads. All its methods but Resize, Limited
// and Throttled are for the thread that they concern. Look and Between are the only ones that
// block; they return early when their context ends. A
// Ticker and Turns belong to an engine and may be used from any goroutine. Ticker.Wait waits for
// the Ticker's goroutine, which runs only while guests run.
package processor
