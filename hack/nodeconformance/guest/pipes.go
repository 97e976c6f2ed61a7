package main

import (
	"fmt"
	"os"

	"mvdan.cc/sh/v3/syntax"
)

// withoutPipes runs the commands of a pipeline one after the other, because WASI has no pipes. Each
// command writes a file, and the next one reads it. dir is the folder of these files.
func withoutPipes(file *syntax.File, dir string) {
	count := 0
	syntax.Walk(file, func(node syntax.Node) bool {
		stmt, ok := node.(*syntax.Stmt)
		if !ok {
			return true
		}
		pipe, ok := stmt.Cmd.(*syntax.BinaryCmd)
		if !ok || pipe.Op != syntax.Pipe {
			return true
		}
		count++
		name := fmt.Sprintf("%s/.pipe-%d-%d", dir, os.Getpid(), count)
		stmt.Cmd = &syntax.Block{Stmts: []*syntax.Stmt{
			redirected(pipe.X, syntax.RdrOut, name),
			redirected(pipe.Y, syntax.RdrIn, name),
		}}
		return true
	})
}

// redirected is { stmt; } with a redirection.
func redirected(stmt *syntax.Stmt, op syntax.RedirOperator, name string) *syntax.Stmt {
	return &syntax.Stmt{
		Cmd:    &syntax.Block{Stmts: []*syntax.Stmt{stmt}},
		Redirs: []*syntax.Redirect{{Op: op, Word: &syntax.Word{Parts: []syntax.WordPart{&syntax.Lit{Value: name}}}}},
	}
}
