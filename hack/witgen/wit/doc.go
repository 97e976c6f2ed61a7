// Package wit reads WIT, the language of interfaces of components, as far as a host needs it:
// packages, their interfaces with types and functions, and of worlds which interfaces they import
// and export. What is gated by a feature that is not asked for is left out.
//
// Errors begin with the file, the line and the column.
package wit
