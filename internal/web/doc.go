// Package web is the HTTP plumbing that the API and the pages share: one middleware per file, cookies, the acting operator, and server-sent
// events. It decides no policy and knows no route.
//
// App wraps everything it serves in Common once; httpapi does so too, and the inner one notices and steps aside, so each also works alone.
package web
