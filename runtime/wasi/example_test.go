package wasi_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
)

// A guest writes to a file of its own tree and to its standard output.
func Example() {
	dir, err := os.MkdirTemp("", "guest")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	g, err := wasi.New(wasi.Config{Mounts: []wasi.Mount{{Host: dir, Guest: "/"}}, Stdout: os.Stdout})
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background() // its end kills the guest
	opened, err := g.Root().Open(ctx, "hello", wasi.Write|wasi.Create)
	if err != nil {
		log.Fatal(err)
	}
	file := opened.(*wasi.File)
	n, err := file.Write(ctx, [][]byte{[]byte("hello, "), []byte("host\n")}, false)
	fmt.Println("wrote", n, err)

	_, err = g.Root().Open(ctx, "nothing", wasi.Read)
	fmt.Println(err, wasi.ErrorOf(err) == wasi.ErrNotExist)

	_, _ = g.Stdout().Write(ctx, [][]byte{[]byte("to the log\n")})
	for _, o := range []wasi.Object{file, g.Stdin(), g.Stdout(), g.Stderr(), g.Root()} {
		_ = o.Close(ctx)
	}
	_ = g.Close()
	// Output:
	// wrote 12 <nil>
	// no such file or directory true
	// to the log
}
