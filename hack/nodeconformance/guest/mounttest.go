package main

import (
	"flag"
	"fmt"
	"os"
	"time"
)

// newFile is the content of the files that mounttest makes.
const newFile = "mount-tester new file\n"

// mounttest inspects files and makes some, in the order that the tests expect. It cannot print
// modes and owners, because WASI does not have them.
func mounttest(flags *flag.FlagSet) func() int {
	type step struct {
		path *string
		do   func(path string) error
	}
	text := func(name string) *string { return flags.String(name, "", "path") }
	retry := flags.Int("retry_time", 180, "seconds for file_content_in_loop")
	once := flags.Bool("break_on_expected_content", true, "end file_content_in_loop with the content that is expected")
	steps := []step{{text("fs_type"), unknown("mount type")}}
	for _, mode := range []os.FileMode{0o644, 0o666, 0o660, 0o777} {
		steps = append(steps, step{text(fmt.Sprintf("new_file_%04o", mode)), func(path string) error { return writeNew(path, mode) }})
	}
	steps = append(steps,
		step{text("file_mode"), func(path string) error {
			info, err := os.Stat(path)
			if err == nil {
				fmt.Printf("mode of file %q: %v\n", path, info.Mode())
			}
			return err
		}},
		step{text("file_perm"), func(path string) error {
			info, err := os.Stat(path)
			if err == nil {
				fmt.Printf("perms of file %q: %v\n", path, info.Mode().Perm())
			}
			return err
		}},
		step{text("file_owner"), unknown("owner UID")},
		step{text("file_content"), printContent},
		step{text("file_content_in_loop"), func(path string) error {
			return printAgain(path, time.Duration(*retry)*time.Second, *once)
		}},
	)
	return func() int {
		code := 0
		for _, s := range steps {
			if *s.path == "" {
				continue
			}
			if err := s.do(*s.path); err != nil {
				fmt.Println(err)
				code = 1
			}
		}
		return code
	}
}

// unknown is a step for which WASI has no call.
func unknown(what string) func(string) error {
	return func(path string) error { return fmt.Errorf("%s of %q: WASI does not tell", what, path) }
}

func writeNew(path string, mode os.FileMode) error {
	if err := os.WriteFile(path, []byte(newFile), mode); err != nil {
		return fmt.Errorf("error writing new file %q: %w", path, err)
	}
	return printContent(path)
}

func printContent(path string) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("error reading file content for %q: %w", path, err)
	}
	fmt.Printf("content of file %q: %s\n", path, content)
	return nil
}

// printAgain prints a file's content every two seconds.
func printAgain(path string, patience time.Duration, once bool) error {
	var content []byte
	var err error
	for start := time.Now(); time.Since(start) < patience; time.Sleep(2 * time.Second) {
		if content, err = os.ReadFile(path); err != nil {
			fmt.Printf("Error reading file %s: %v, retrying\n", path, err)
			continue
		}
		fmt.Printf("content of file %q: %s\n", path, content)
		if once && string(content) == newFile {
			break
		}
	}
	return err
}
