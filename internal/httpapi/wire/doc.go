// Package wire is what any call of the API has in common on its way in and out: the headers, the query and the body of a call are read here,
// and answers and problem documents are written. errors.go is the one table from an error's code to its status.
//
// It knows no route, no use case and no caller: who may call, what is done and what an answer holds is httpapi's. Whatever is wrong with a call
// comes back as a hub.Error, all wrong fields or parameters at once.
package wire
