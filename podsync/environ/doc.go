// Package environ makes the environment of a container, and reads the fields of its pod for which
// the container may ask.
//
//	environment.go  the variables, in the order in which they replace each other
//	services.go     variables about Services
//	envfile.go      variables from files of volumes
//	downward.go     fields and resources of the pod
//	expand.go       $(NAME) in commands, arguments and values
//
// No error quotes the value of a variable.
package environ
