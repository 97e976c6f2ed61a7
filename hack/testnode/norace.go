//go:build !race

package testnode

var buildFlags []string
