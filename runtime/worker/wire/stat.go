package wire

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// Fields of /proc/PID/stat, counted from behind the name.
const (
	StatState = 0
	StatStart = 19
	StatExit  = 49
)

// StatFields are the fields of /proc/PID/stat behind the name, which is in parentheses and may hold anything.
func StatFields(pid int) ([]string, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil, err
	}
	line := string(text)
	fields := strings.Fields(line[strings.LastIndexByte(line, ')')+1:])
	if len(fields) <= StatExit {
		return nil, fmt.Errorf("/proc/%d/stat has too few fields", pid)
	}
	return fields, nil
}

// StartTime is when a process began, as in Info.
func StartTime(pid int) (uint64, error) {
	fields, err := StatFields(pid)
	if err != nil {
		return 0, err
	}
	return strconv.ParseUint(fields[StatStart], 10, 64)
}
