package wire

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// Stat is the content of /proc/PID/stat.
type Stat struct {
	State     string // one letter; Z means that the process has exited and is not reaped
	StartTime uint64 // the same as in Info
	Status    uint32 // how the process exited, in the form of wait
}

// Fields of /proc/PID/stat. The first field after the name has number 0.
const (
	stateField  = 0
	startField  = 19
	statusField = 49
)

// ReadStat reads /proc/PID/stat.
func ReadStat(pid int) (Stat, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return Stat{}, err
	}
	line := string(text)
	// The name is in parentheses, and may contain parentheses.
	fields := strings.Fields(line[strings.LastIndexByte(line, ')')+1:])
	if len(fields) <= statusField {
		return Stat{}, fmt.Errorf("/proc/%d/stat has too few fields", pid)
	}
	start, startErr := strconv.ParseUint(fields[startField], 10, 64)
	status, statusErr := strconv.ParseUint(fields[statusField], 10, 32)
	return Stat{State: fields[stateField], StartTime: start, Status: uint32(status)}, errors.Join(startErr, statusErr)
}

// StartTime is when a process started, as in Info.
func StartTime(pid int) (uint64, error) {
	stat, err := ReadStat(pid)
	return stat.StartTime, err
}
