// Package sample is what witgen writes for a small WIT of our own, with every kind of type, so that
// tests can exercise it.
package sample

//go:generate go run ../../witgen -wit wit -to . -name sample -of "the sample" -method Sample
