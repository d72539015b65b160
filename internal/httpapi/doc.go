// Package httpapi is the JSON API: it decodes a call, says who calls, calls one use case of hub.Service and shows the result. It decides
// nothing about the line; it holds no state but what a call needs.
//
// routes.go is the one route table: path, policy, handler and documentation of each call. A route without a policy or documentation does
// not register. How a call is read and an answer or a problem document is written is package wire, which has the one table from an error's code
// to its status. Everything else is a file per topic, named as in hub.
//
// A call's way: web.Common (request id, log, headers, panics, body limit) → ServeHTTP (unknown paths) → endpoint (method, who, body,
// Idempotency-Key) → handler → answer or problem document.
package httpapi
