// Package host is the worker's side: the whole of a worker process, around any runtime.Engine.
// Package pool is the agent's side, and package wire what both agree on.
//
// # Life
//
// Bind takes the folder that the agent made for the worker, and Serve hosts guests until its
// context ends, an agent shuts the worker down, or the worker had neither runs nor an agent for
// Config.Idle. Guests that run then are killed. The folder stays: only the agent can remove it.
//
// # Run table
//
// A worker keeps what it hosts in its run table: the runs of pods, until the agent forgets them,
// and the commands beside them, until they have ended. An agent is present while its Watch is open.
// The Watch begins with the list of all runs, and then tells of each that ends. A worker has one
// Watch: a new one takes the place of the older.
//
// A start names the Watch of its agent, and the worker refuses it if there is a newer one. Before
// the worker makes the list of a new Watch, it cancels the starts that it was asked for by then,
// and waits for them. So a start is in the list, or it will never succeed.
//
// # What it needs of the system
//
// Bind reads NAME.json and makes a unix socket. Serve reads /proc/PID/stat of itself and
// /proc/self/fd, and makes and renames files in its folder.
package host
