package httpapi_test

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/kitshub/kitshub/internal/testkit/browser"
)

// The page works in a real browser under the hub's own policy: nothing is refused, nothing is asked of another host.
// DOCS_SCREENSHOT names a file for who wants to look at it.
func TestDocsInABrowser(t *testing.T) {
	r := newRig(t)
	ctx, cancel := context.WithTimeout(browser.Tab(t), 3*patience)
	defer cancel()
	console := chromedp.Console(ctx)
	ok(t, chromedp.Do(ctx,
		chromedp.Navigate(r.URL+"/docs"),
		chromedp.WaitVisible(`#operations-Public-signUp`),
		chromedp.Click(`#operations-Public-signUp .opblock-summary-control`),
		chromedp.WaitVisible(`#operations-Public-signUp .responses-table`),
	))
	text, err := chromedp.Run(ctx, chromedp.Text(`#operations-Public-signUp`))
	ok(t, err)
	if !strings.Contains(text, "CUSTOMER_EXISTS") || !strings.Contains(text, "ada@example.com") {
		t.Error(text)
	}
	foreign, err := chromedp.Run(ctx, chromedp.Evaluate[string](
		`performance.getEntriesByType("resource").map(e => e.name).filter(n => !n.startsWith(location.origin) && !n.startsWith("data:")).join(" ")`))
	ok(t, err)
	if foreign != "" {
		t.Errorf("it asked other hosts: %s", foreign)
	}
	if path := os.Getenv("DOCS_SCREENSHOT"); path != "" {
		shot, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
		ok(t, err)
		ok(t, os.WriteFile(path, shot, 0o600))
	}
	// After the first mark comes what the policy must refuse: the proof that a complaint would be seen.
	_, err = chromedp.Run(ctx, chromedp.Evaluate[int](`console.log("mark"); document.body.insertAdjacentHTML("beforeend", "<p style='color:red'>x</p>"); console.log("end"); 1`))
	ok(t, err)
	marked, refused := false, false
	for m, err := range console {
		ok(t, err)
		switch {
		case m.Text == "mark":
			marked = true
		case marked && strings.Contains(m.Text, "Content Security Policy"):
			refused = true
		case !marked && (m.IsException() || m.Source != "" || m.Type == "error"):
			t.Errorf("the browser complains: %s %s %s", m, m.Source, m.URL)
		}
		if refused {
			break
		}
	}
	if !refused {
		t.Error("a planted inline style was not refused")
	}
}
