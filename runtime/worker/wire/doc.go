// Package wire is what an agent and its workers share: the messages between them (package workerpb
// has their definition), the files by which an agent finds a worker, and the arguments of a worker.
//
// # Protocol
//
// A worker lives longer than the agent that has started it. So an agent talks to workers of other
// builds, and pods must not notice that. The rules are:
//
//   - Fields and calls are only added. None is removed or gets another meaning, and the number of a
//     field is never used again. A side ignores a field that it does not know. So a missing field
//     must mean the behaviour before the field was added.
//   - Another kind of run would be a field of Spec beside the fields of a command. A worker that
//     does not know it never gets it, because only workers of the agent's own build get new runs.
//   - Older workers do not have a call that was added. They answer with codes.Unimplemented, and
//     the agent then works without this call.
//   - Protocol is raised only if old messages can no longer be understood. An agent adopts workers
//     whose number is from OldestProtocol to Protocol, and has the code for all of these. It kills
//     the others with their guests, because it cannot find out what they run.
//   - OldestProtocol is raised only if such workers are no longer expected on any node.
//   - Files and arguments follow the same rules.
//
// test/e2e has a test in which this agent adopts the workers of an earlier commit's program.
//
// # Files
//
// Each worker has a folder NAME (0700) with the files `socket`, `log` (its standard error) and
// `worker.json`. The worker may write anything there. Beside the folder, where workers cannot
// write, are NAME.json, which has the worker's slot (Info), and NAME.key, with which the agent
// makes the marks of runs. The worker holds a lock (fcntl) on NAME.json while it lives. For agents
// of earlier versions it also holds a lock (flock) on its folder, and writes worker.json.
package wire
