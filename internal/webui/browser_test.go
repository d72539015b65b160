package webui_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/kitshub/kitshub/internal/hub"
	"github.com/kitshub/kitshub/internal/testkit"
	"github.com/kitshub/kitshub/internal/testkit/browser"
)

var updateScreenshots = flag.Bool("update-screenshots", false, "write the pictures in docs/img anew")

// window is a real browser's tab with all that it complained about.
type window struct {
	t   *testing.T
	tab context.Context
	bad chan string
}

func newWindow(t *testing.T) *window {
	t.Helper()
	tab, cancel := context.WithTimeout(browser.Tab(t), 3*patience)
	w := &window{t: t, tab: tab, bad: make(chan string, 100)}
	messages := chromedp.Console(tab)
	heard := make(chan struct{})
	go func() {
		defer close(heard)
		for m, err := range messages {
			if err != nil {
				return // the test is over
			}
			if m.Type == "error" || m.Type == "warning" || m.IsException() {
				select {
				case w.bad <- m.String():
				default: // a hundred are enough to fail
				}
			}
		}
	}()
	t.Cleanup(func() { cancel(); <-heard })
	return w
}

func (w *window) do(steps ...chromedp.Action[chromedp.Void]) {
	w.t.Helper()
	ok(w.t, chromedp.Do(w.tab, steps...))
}

// follow does what leads to another page, and waits for that page.
func (w *window) follow(steps ...chromedp.Action[chromedp.Void]) {
	w.t.Helper()
	_, err := chromedp.RunResponse(w.tab, steps...)
	ok(w.t, err)
}

// until waits for an expression of the page to be true. A page that is just being left takes its scripts' world with it; then it asks the
// next one.
func (w *window) until(expression string) {
	w.t.Helper()
	begun := time.Now()
	for {
		_, err := chromedp.Run(w.tab, chromedp.Poll[bool](expression, chromedp.WithPollingTimeout(patience)))
		if err == nil {
			return
		}
		if left := strings.Contains(err.Error(), "-32000"); left && time.Since(begun) < patience {
			continue
		}
		shown, _ := chromedp.Run(w.tab, chromedp.Evaluate[string](`location + " " + document.body.innerText`))
		w.t.Fatalf("%s: %v; the page shows %s", expression, err, shown)
	}
}

func value[T any](w *window, expression string) T {
	w.t.Helper()
	v, err := chromedp.Run(w.tab, chromedp.Evaluate[T](expression))
	ok(w.t, err)
	return v
}

// complaint waits for the browser to complain.
func (w *window) complaint() string {
	w.t.Helper()
	select {
	case s := <-w.bad:
		return s
	case <-time.After(patience):
		w.t.Fatal("the browser complains of nothing")
		return ""
	}
}

// quiet fails if the browser complained.
func (w *window) quiet() {
	w.t.Helper()
	for {
		select {
		case s := <-w.bad:
			w.t.Errorf("the browser says: %s", s)
		default:
			return
		}
	}
}

// picture writes what the window shows, in both themes, where the flag asks for it.
func (w *window) picture(name string, height int64) {
	w.t.Helper()
	if !*updateScreenshots {
		return
	}
	for _, theme := range []string{"light", "dark"} {
		_, err := chromedp.Call(w.tab, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
			{Name: "prefers-color-scheme", Value: theme}, {Name: "prefers-reduced-motion", Value: "reduce"},
		}})
		ok(w.t, err)
		w.do(chromedp.EmulateViewport(1280, height))
		w.until(`document.getAnimations().every(a => a.playState !== "running")`)
		png, err := chromedp.Run(w.tab, chromedp.CaptureScreenshot())
		ok(w.t, err)
		path := filepath.Join("..", "..", "docs", "img", name+"-"+theme+".png")
		if len(png) > 150_000 {
			w.t.Errorf("%s has %d bytes", path, len(png))
		}
		ok(w.t, os.WriteFile(path, png, 0o644)) //nolint:gosec // a picture for everybody
	}
}

// The promise, seen in a real browser: the form is filled in, the page shows the place in line, then each step, then that all is
// ready, and was never loaded again. The policy is broken by nothing.
func TestSignUpInABrowser(t *testing.T) {
	r := newRig(t)
	w := newWindow(t)
	w.do(chromedp.EmulateViewport(1280, 1000), chromedp.Navigate(r.URL+"/"))
	w.until(`document.querySelectorAll(".choices").length === 4 && [...document.querySelectorAll(".choices")].filter(c => c.offsetHeight > 0).length === 1`)
	w.do(
		chromedp.Click("#plan-professional"),
		chromedp.SendKeys("#f-company_name", "Müller & Söhne GmbH"),
		chromedp.SendKeys("#f-contact_name", "Jörg O'Neil"),
		chromedp.SendKeys("#f-email", "joerg@mueller"),
	)
	w.until(`document.querySelector('[data-n="3"]').offsetHeight > 0 && document.querySelector('[data-n="2"]').offsetHeight === 0`)
	if *updateScreenshots {
		w.do(chromedp.Evaluate[chromedp.Void](`document.activeElement.blur(); scrollTo(0, 0)`))
	}
	w.picture("signup", 900)

	w.follow(chromedp.Click("main .button.big"))
	w.until(`document.activeElement.matches('[role=alert]') && document.querySelector("#f-email").value === "joerg@mueller"`)
	w.complaint() // the browser notes the answer 422, and nothing else
	w.quiet()
	w.follow(chromedp.Clear("input#f-email"), chromedp.SendKeys("input#f-email", "joerg@mueller.example"), chromedp.Click("main .button.big"))

	w.until(`location.pathname.startsWith("/status/") && document.querySelector("#live [data-state=pending]") !== null`)
	w.until(`document.querySelector("[data-online]:not([hidden], .off)") !== null`)
	if got := value[string](w, `document.querySelector(".place").lastChild.data`); got != "1" {
		t.Errorf("the place is %q", got)
	}
	value[string](w, `window.mark = "not loaded again"`)
	urgent := r.signUp("urgent@company.example", "Eilige GmbH", "enterprise")
	w.until(`document.querySelector("[data-announce]").textContent.endsWith("ahead of you. A company with a higher plan joined before you.") && document.querySelector("[data-why]").innerText.includes("higher plan")`)
	_, err := r.Service.CancelByCustomer(t.Context(), urgent.StatusToken)
	ok(t, err)
	w.until(`document.querySelector("[data-why]").hidden && document.querySelector(".place").lastChild.data === "1"`)
	w.do(chromedp.Evaluate[chromedp.Void](`window.seen = []; new MutationObserver(() => {
		const s = document.querySelector("#live > div").dataset.state; if (seen.at(-1) !== s) seen.push(s);
	}).observe(document.getElementById("live"), {subtree: true, childList: true, attributes: true, characterData: true})`))
	r.work()
	w.until(`document.querySelector("#live [data-state=completed]") !== null`)
	if got := value[string](w, `window.mark`); got != "not loaded again" {
		t.Error("the page was loaded again")
	}
	if n := value[int](w, `performance.getEntriesByType("navigation").length + performance.getEntriesByType("resource").filter(e => e.initiatorType === "iframe").length`); n != 1 {
		t.Errorf("%d navigations", n)
	}
	if got := value[string](w, `document.title + "|" + document.querySelector("progress").value + "|" + document.querySelectorAll(".steps .is-done").length + "|" + document.querySelector("[data-announce]").textContent`); !strings.HasPrefix(got, "Your database is ready · KiTS Hub|") || strings.Contains(got, "|0|") || !strings.Contains(got, "steps done.") {
		t.Errorf("the page shows %q", got)
	}
	t.Log("states seen:", value[string](w, `seen.join(" ")`))
	w.picture("status", 1000)

	w.follow(chromedp.Click("#reveal summary"), chromedp.Click("#reveal button"))
	w.until(`document.querySelector("#secret-url")?.textContent.length > 5 && !document.querySelector("[data-copy]").hidden`)
	w.quiet()

	// The proof that a breach of the policy would have been seen.
	value[bool](w, `document.body.insertAdjacentHTML("beforeend", "<p style='color:red'>x</p>"), true`)
	if s := w.complaint(); !strings.Contains(s, "Content Security Policy") {
		t.Errorf("the browser says: %s", s)
	}
}

// The line in a real browser: log in, see a sign-up arrive without a reload, claim, have the backend made, see it ready.
func TestConsoleInABrowser(t *testing.T) {
	r := newRig(t)
	r.work()
	for i, c := range []string{"Bäckerei Öztürk", "Donaudampfschifffahrtsgesellschaft mbH & Co. KG", "O'Neil Outfitters", "Smörgås & Söner AB", "Ærø Kaffe"} {
		plan := []string{"enterprise", "professional", "enterprise", "basic", "enterprise"}[i]
		if s := r.signUp(fmt.Sprintf("office@company%d.example", i), c, plan); plan != "enterprise" {
			r.reach(s.Request.ID, hub.Completed)
		}
	}
	w := newWindow(t)
	w.do(chromedp.EmulateViewport(1280, 1000), chromedp.Navigate(r.URL+"/console?state=all"))
	w.follow(
		chromedp.SendKeys("#f-email", adminMail), chromedp.SendKeys("#f-password", password), chromedp.Click("main .button"),
	)
	w.until(`location.pathname === "/console" && document.querySelectorAll("#live tbody tr").length === 5`)
	w.until(`document.querySelector("[data-online]:not([hidden], .off)") !== null`)
	value[string](w, `window.mark = "same"`)
	r.signUp("late@company.example", "Späte Anmeldung eG", "enterprise")
	w.until(`document.querySelectorAll("#live tbody tr").length === 6 && window.mark === "same"`)
	w.follow(chromedp.Click("#live tbody tr:nth-child(2) .acts button"))
	w.until(`document.querySelector("[data-flash]") !== null && !location.search.includes("done")`)
	w.do(chromedp.Navigate(r.URL + "/console?state=all"))
	w.until(`document.querySelectorAll("tr.mine").length === 1 && [...document.querySelectorAll("td.num")].map(e => e.textContent).join("") === "1–23––" && document.querySelector("[data-online]:not([hidden], .off)") !== null`)
	w.picture("line", 860)

	w.follow(chromedp.Click("tr.mine .co a"))
	w.until(`location.pathname.startsWith("/console/requests/") && document.querySelector("#provider") !== null`)
	w.follow(chromedp.SendKeys("#notes", "typed, not saved"), chromedp.Click(".give button"))
	w.until(`document.querySelector(".head .badge.is-completed") !== null`)
	if n := value[int](w, `document.querySelectorAll(".steps .is-done").length`); n < 15 {
		t.Errorf("%d steps are done", n)
	}
	for _, width := range []int64{1280, 390} { // nothing sticks out on either
		for _, path := range []string{"/", "/status", "/forecast", "/console", "/console?state=all", "/console?operators=3&pool=x", "/console?operators=3&pool=20", value[string](w, `location.pathname`)} {
			w.do(chromedp.EmulateViewport(width, 844), chromedp.Navigate(r.URL+path))
			if over := value[int](w, `document.documentElement.scrollWidth - innerWidth`); over > 0 {
				t.Errorf("%s at %d is %d pixels too wide", path, width, over)
			}
		}
	}
	w.complaint() // the browser notes the answers 422 to what was wrong, and nothing else
	w.complaint()
	w.quiet()

	w.do(chromedp.Navigate(r.URL + "/forecast"))
	w.until(`document.querySelectorAll(".meter").length > 0`)
	w.picture("forecast", 860)
	w.do(chromedp.Navigate(r.URL + "/console"))
	w.until(`document.querySelector("[data-online]:not([hidden], .off)") !== null && document.querySelectorAll("#live tbody tr").length === 3`)
	w.do(chromedp.Evaluate[chromedp.Void](`window.lights = []; new MutationObserver(() => lights.push(document.querySelector("[data-online-text]").textContent)).
		observe(document.querySelector("[data-online]"), {subtree: true, childList: true})`))
	r.cut()
	r.signUp("later@company.example", "Nachzügler", "enterprise")
	w.until(`lights.includes("Connecting…") && lights.at(-1) === "Live" && document.querySelectorAll("#live tbody tr").length === 4`)

	list, err := r.Service.ListRequests(t.Context(), hub.RequestFilter{State: hub.Completed, Limit: 10}, false)
	ok(t, err)
	if len(list) == 0 {
		t.Error("nothing was completed")
	}
}

// What came of a test stands beside the form, and what was typed stays in it.
func TestBringInABrowser(t *testing.T) {
	r := newRig(t)
	s := r.signUp("big@example.com", "Groß", "enterprise")
	_, err := r.Service.Claim(t.Context(), hub.Actor{Kind: hub.ByPerson, ID: "opr_x", Name: "X", Rank: hub.Admin}, s.Request.ID)
	ok(t, err)
	w, path := newWindow(t), "/console/requests/"+s.Request.ID
	w.do(chromedp.EmulateViewport(1280, 1000), chromedp.Navigate(r.URL+path))
	w.follow(chromedp.SendKeys("#f-email", adminMail), chromedp.SendKeys("#f-password", password), chromedp.Click("main .button"))
	w.until(`location.pathname === "` + path + `" && document.querySelector("#bring") !== null`)
	address := testkit.Postgres(t)
	w.do(chromedp.Click("#bring details:first-of-type summary"), chromedp.SendKeys("#f-connection_string", address))
	value[string](w, `window.mark = "same"`)
	w.do(chromedp.Click("#bring details:first-of-type .button.second"))
	w.until(`document.querySelector("#trial .note.good")?.innerText.includes("This database will do.")`)
	w.until(`window.mark === "same" && document.querySelectorAll("#trial li.is-done").length === 7`)
	if typed := value[string](w, `document.querySelector("#f-connection_string").value`); typed != address {
		t.Error("what was typed is gone")
	}
	for _, width := range []int64{1280, 390} {
		w.do(chromedp.EmulateViewport(width, 844))
		if over := value[int](w, `document.documentElement.scrollWidth - innerWidth`); over > 0 {
			t.Errorf("at %d it is %d pixels too wide", width, over)
		}
	}
	r.work()
	w.follow(chromedp.Click("#bring details:first-of-type .button:not(.second)"))
	w.until(`document.querySelector(".head .badge.is-completed") !== null`)
	w.quiet()
}
