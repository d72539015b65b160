// Package webui serves the pages people see: sign-up, the waiting customer's status, the operators' console, the first admin's set-up.
//
// It turns what hub.Service says into HTML and what people send into calls of hub.Service; it has no rules of its own. A page is rendered
// to memory before its first byte, so that an error is a whole page and never half of one. Everything works without JavaScript; the one
// script only keeps pages fresh, by server-sent events that carry the same template's output as the first page, and smooths forms.
// Pages run under a policy that allows no inline script, style or handler.
//
// It does not serve the JSON API (httpapi), sessions' cookies (web) or the tokens' rules (hub).
package webui
