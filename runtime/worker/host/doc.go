// Package host is the worker's side: a complete worker process, with any runtime.Engine. Package
// pool is the agent's side, and package wire has what both share.
//
// # Life
//
// Bind takes over the folder that the agent made for the worker. Serve hosts guests until its
// context ends, an agent shuts the worker down, or the worker had no runs and no agent for
// Config.Idle. Running guests are then killed. The folder stays, because only the agent can remove
// it.
//
// # Run table
//
// A worker keeps its guests in its run table: the runs of pods, until the agent forgets them, and
// the commands beside them, until they have ended. An agent is present while its Watch is open. The
// Watch begins with the list of all runs, and then reports each run that ends. A worker has one
// Watch; a new one replaces the older.
//
// A start names the Watch of its agent, and the worker refuses it if there is a newer Watch. Before
// the worker makes the list for a new Watch, it cancels the starts that were requested until then,
// and waits for them. So a start is in the list, or it will never succeed.
//
// # The network
//
// Config.Network gets the updates of the agent with the present Watch, one at a time. All parts of
// an update hold at once, before the agent gets the answer.
//
// # What it needs of the system
//
// Bind reads NAME.json and makes a unix socket. Serve reads /proc/PID/stat of itself and
// /proc/self/fd, and makes and renames files in its folder.
package host
