// Package canontest has what tests of values need: a guest without an engine, values of any type as
// Go values, and random types and values.
package canontest
