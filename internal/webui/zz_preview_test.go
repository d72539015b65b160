package webui

import (
	"net/http"
	"net/http/httptest"
	"os"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/kitshub/kitshub/internal/hub"
	"github.com/kitshub/kitshub/internal/testkit/browser"
)

func TestZZPreview(t *testing.T) {
	u := sampleUI()
	a := hub.Actor{ID: "opr_01", Name: "Ada Grün", Rank: hub.Admin}
	mux := http.NewServeMux()
	mux.Handle("GET /static/{name}", u.assets)
	pages := map[string]func(w http.ResponseWriter) error{}
	add := func(n, tpl string, f frame) { pages[n] = func(w http.ResponseWriter) error { return u.render(w, 200, tpl, f) } }
	add("signup", "signup_form", frame{Title: "x", Class: "signup", View: u.signupView(hub.SignUp{}, "k", nil)})
	add("signup-err", "signup_form", frame{Title: "x", Class: "signup", View: u.signupView(hub.SignUp{Email: "a@b", CompanyName: "<b>", Plan: "enterprise", BillingCycle: "yearly"}, "k", &hub.Error{Fields: []*hub.Error{
		hub.FieldError(hub.CodeInvalidEmailFormat, "email", "This is not an email address.", "Use the form name@example.com."),
		hub.FieldError(hub.CodeMissingField, "contact_name", "contact_name is needed.", "Fill in contact_name."),
	}})})
	for _, s := range hub.States {
		v := u.statusView(sampleStatus(s), "tok")
		add("status-"+string(s), "status_page", frame{Title: v.Headline, Class: "status", View: v})
	}
	add("line", "console_line", frame{Title: "x", Class: "console", Actor: &a, View: sampleLine(u, a)})
	for _, s := range []hub.State{hub.InProgress, hub.Failed} {
		add("req-"+string(s), "console_request", frame{Title: "x", Class: "console", Actor: &a, View: sampleRequestView(u, a, s)})
	}
	add("login", "login_form", frame{Title: "x", Class: "plain", View: newLogin("", "")})
	add("setup", "setup_form", frame{Title: "x", Class: "plain", View: newSetup("t", "", "")})
	add("lookup", "status_lookup", frame{Title: "x", Class: "plain", View: lookupView{BadLink: true, Email: field{Name: "email", Label: "Work email", Type: "email"}}})
	add("cred", "status_credentials", frame{Title: "x", Class: "plain", View: credentialsView{Company: "Müller", Back: "/", Once: true, URL: "sqlite:///var/lib/kitshub/tenants/te/ten_01jbx.db", Env: []variable{{"DATABASE_URL", "sqlite:///var/lib/kitshub/tenants/te/ten_01jbx.db"}, {"DATABASE_KIND", "sqlite"}}}})
	add("error", "error_page", frame{Title: "x", Class: "plain", View: errorPage{refusal: refusal{"NOT_FOUND", "There is no page at this address.", "Check the address, or start below.", ""}, Status: 404}})
	mux.HandleFunc("/p/{n}", func(w http.ResponseWriter, r *http.Request) {
		if err := pages[r.PathValue("n")](w); err != nil {
			t.Error(err)
		}
	})
	srv := httptest.NewServer(mux)
	defer srv.Close()
	tab := browser.Tab(t)
	only := os.Getenv("ONLY")
	for n := range pages {
		if only != "" && only != n {
			continue
		}
		for _, theme := range []string{"light", "dark"} {
			for _, w := range []int64{1280, 390} {
				var full []byte
				if _, err := chromedp.Call(tab, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: theme}}}); err != nil {
					t.Fatal(err)
				}
				if err := chromedp.Do(tab,
					chromedp.EmulateViewport(w, 844),
					chromedp.Navigate(srv.URL+"/p/"+n)); err != nil {
					t.Fatal(err)
				}
				b, err := chromedp.Run(tab, chromedp.FullScreenshot(100))
				if err != nil {
					t.Fatal(err)
				}
				full = b
				_ = os.MkdirAll("/tmp/shots", 0o755)
				wn := "d"
				if w == 390 {
					wn = "p"
				}
				_ = os.WriteFile("/tmp/shots/"+n+"-"+theme+"-"+wn+".png", full, 0o644)
			}
		}
	}
}
