// Package environ puts together what a container finds in its environment, and in the fields of
// itself that it may ask for.
//
//	environment.go  the variables, in the order in which they replace each other
//	services.go     variables that tell of Services
//	envfile.go      variables from files of volumes
//	downward.go     fields and resources of the pod
//	expand.go       $(NAME) in commands, arguments and values
//
// No error quotes the value of a variable.
package environ
