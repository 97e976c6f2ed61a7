package preview1

import (
	"context"
	"slices"
)

// Module is the module name from which preview 1's functions are imported.
const Module = "wasi_snapshot_preview1"

// Kind is the type of a parameter.
type Kind byte

// The kinds of parameters in preview 1.
const (
	I32 Kind = iota
	I64
)

// MaxParams is the largest number of parameters of a function in the table: that of req of
// ExperimentalHTTP.
const MaxParams = 10

// Function is a function of the host that modules may import.
type Function struct {
	Module string // the name of its module
	Name   string
	// Import is the name by which it is imported. It is that of another function, too, if it has
	// other parameters: two generations of libraries give one name two meanings.
	Import   string
	Params   []Kind
	NoResult bool // otherwise it has one result, an i32
	// Call runs the function. args has one entry per parameter. It returns the function's result,
	// or an error that ends the guest: see the package documentation.
	Call func(ctx context.Context, g *Guest, mem []byte, args []uint64) (Errno, error)
}

// Functions is the table of all functions: those of preview 1, of sockets, and of ExperimentalHTTP.
// Every call returns them in the same order.
func Functions() []Function { return slices.Concat(functions, sockets, experimental) }

// call is a function of the table. outcome translates its error.
type call func(ctx context.Context, g *Guest, m memory, a arguments) error

// arguments are a call's raw arguments.
type arguments []uint64

func (a arguments) u32(i int) uint32 { return uint32(a[i]) }
func (a arguments) u64(i int) uint64 { return a[i] }
func (a arguments) u16(i int) uint16 { return uint16(a[i]) }

// function makes a row of the table. params has one letter for each parameter: i for i32, l for
// i64.
func function(name, params string, run call) Function {
	f := Function{Module: Module, Name: name, Import: name, NoResult: name == "proc_exit"}
	for _, letter := range params {
		kind := I32
		if letter == 'l' {
			kind = I64
		}
		f.Params = append(f.Params, kind)
	}
	f.Call = func(ctx context.Context, g *Guest, mem []byte, args []uint64) (Errno, error) {
		if err := run(ctx, g, mem, args); err != nil {
			return outcome(err)
		}
		return ErrnoSuccess, nil
	}
	return f
}

// other makes a row of the table for a function whose import has the name of another one.
func other(name, of, params string, run call) Function {
	f := function(name, params, run)
	f.Import = of
	return f
}

// functions are those that the specification has.
var functions = []Function{
	function("args_get", "ii", argsGet),
	function("args_sizes_get", "ii", argsSizesGet),
	function("environ_get", "ii", environGet),
	function("environ_sizes_get", "ii", environSizesGet),

	function("clock_res_get", "ii", clockResGet),
	function("clock_time_get", "ili", clockTimeGet),
	function("random_get", "ii", randomGet),
	function("sched_yield", "", schedYield),
	function("proc_exit", "i", procExit),
	function("proc_raise", "i", procRaise),
	function("poll_oneoff", "iiii", pollOneoff),

	function("fd_advise", "illi", fdAdvise),
	function("fd_allocate", "ill", fdAllocate),
	function("fd_close", "i", fdClose),
	function("fd_datasync", "i", fdDatasync),
	function("fd_fdstat_get", "ii", fdFdstatGet),
	function("fd_fdstat_set_flags", "ii", fdFdstatSetFlags),
	function("fd_fdstat_set_rights", "ill", fdFdstatSetRights),
	function("fd_filestat_get", "ii", fdFilestatGet),
	function("fd_filestat_set_size", "il", fdFilestatSetSize),
	function("fd_filestat_set_times", "illi", fdFilestatSetTimes),
	function("fd_pread", "iiili", fdPread),
	function("fd_prestat_dir_name", "iii", fdPrestatDirName),
	function("fd_prestat_get", "ii", fdPrestatGet),
	function("fd_pwrite", "iiili", fdPwrite),
	function("fd_read", "iiii", fdRead),
	function("fd_readdir", "iiili", fdReaddir),
	function("fd_renumber", "ii", fdRenumber),
	function("fd_seek", "ilii", fdSeek),
	function("fd_sync", "i", fdSync),
	function("fd_tell", "ii", fdTell),
	function("fd_write", "iiii", fdWrite),

	function("path_create_directory", "iii", pathCreateDirectory),
	function("path_filestat_get", "iiiii", pathFilestatGet),
	function("path_filestat_set_times", "iiiilli", pathFilestatSetTimes),
	function("path_link", "iiiiiii", pathLink),
	function("path_open", "iiiiillii", pathOpen),
	function("path_readlink", "iiiiii", pathReadlink),
	function("path_remove_directory", "iii", pathRemoveDirectory),
	function("path_rename", "iiiiii", pathRename),
	function("path_symlink", "iiiii", pathSymlink),
	function("path_unlink_file", "iii", pathUnlinkFile),

	function("sock_accept", "iii", sockAccept),
	function("sock_recv", "iiiiii", sockRecv),
	function("sock_send", "iiiii", sockSend),
	function("sock_shutdown", "ii", sockShutdown),
}
