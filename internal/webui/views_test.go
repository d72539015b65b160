package webui

import (
	"fmt"
	"math"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kitshub/kitshub/internal/forecast"
	"github.com/kitshub/kitshub/internal/hub"
)

// everyPage renders each page in each of its states.
func everyPage(t *testing.T) map[string]string {
	t.Helper()
	u := sampleUI()
	a := hub.Actor{ID: "opr_01", Name: `Ada "Grün" <i>`, Rank: hub.Admin}
	frames := map[string]struct {
		page string
		f    frame
	}{
		"signup": {"signup_form", frame{View: u.signupView(hub.SignUp{}, "k", nil)}},
		"signup wrong": {"signup_form", frame{View: u.signupView(hub.SignUp{CompanyName: "<b>", Plan: "basic"}, "k", &hub.Error{Fields: []*hub.Error{
			hub.FieldError(hub.CodeMissingField, "plan", "plan is needed.", "Choose one."), hub.FieldError(hub.CodeInvalidField, "features/1", "<b>no</b>", ""),
			hub.FieldError(hub.CodeInvalidField, "billing_address/zip", "billing_address/zip is long.", "Shorten it."), hub.FieldError(hub.CodeMissingEmail, "email", "An email address is needed.", ""),
		}})}},
		"line":      {"console_line", frame{Actor: &a, View: sampleLine(u, a)}},
		"record":    {"forecast_page", frame{View: u.recordView(sampleRecords())}},
		"no record": {"forecast_page", frame{View: u.recordView([]hub.ForecastRecord{{Days: 7}, {Days: 30}})}},
		"login":     {"login_form", frame{View: newLogin("", "<b>")}},
		"setup":     {"setup_form", frame{View: newSetup("t", "<b>", "")}},
		"lookup":    {"status_lookup", frame{View: lookupView{Email: field{Name: "email", Label: "Email"}}}},
		"sent":      {"status_lookup", frame{View: lookupView{Sent: true, Email: field{Value: "<b>"}}}},
		"secrets":   {"status_credentials", frame{View: credentialsView{Company: "<b>", Once: true, URL: "x", Env: []variable{{"A", "<b>"}}}}},
		"error":     {"error_page", frame{View: errorPage{refusal: refusal{"X", "<b>", "<b>", "id"}, Status: 500}}},
	}
	for _, s := range hub.States {
		v := u.statusView(sampleStatus(s), "tok")
		frames["status "+string(s)] = struct {
			page string
			f    frame
		}{"status_page", frame{Title: v.Headline, View: v, Refresh: 3}}
		frames["request "+string(s)] = struct {
			page string
			f    frame
		}{"console_request", frame{Actor: &a, View: sampleRequestView(u, a, s)}}
	}
	out := map[string]string{}
	for name, x := range frames {
		b, err := u.execute(x.page, "layout", x.f)
		if err != nil {
			t.Fatal(err)
		}
		out[name] = string(b)
	}
	return out
}

var (
	inline = regexp.MustCompile(`(?i)<style|\sstyle\s*=|\son[a-z]+\s*=|javascript:|<script(?:>|[^>]*[^"]>)`)
	ids    = regexp.MustCompile(`\sid="([^"]*)"`)
	refs   = regexp.MustCompile(`\s(?:(?:for|aria-describedby|aria-labelledby|data-copy)="|href="#)([^"]*)"`)
	inputs = regexp.MustCompile(`<(?:input|select|textarea)\b[^>]*>`)
	unsure = regexp.MustCompile(`ZgotmplZ|%!|<no value>|\{\{`)
)

// What people type is shown as they typed it, and is never markup; no page needs inline code; every label and description has its element.
func TestEveryPageIsSound(t *testing.T) {
	for name, html := range everyPage(t) {
		t.Run(name, func(t *testing.T) {
			for _, bad := range []string{"<b>Müller", "<i>", "<b></", "<b>no", `"<b>"`} {
				if strings.Contains(html, bad) {
					t.Errorf("%q is not escaped", bad)
				}
			}
			if m := inline.FindString(html); m != "" {
				t.Errorf("inline code: %q", m)
			}
			if m := unsure.FindString(html); m != "" {
				t.Errorf("a template went wrong: %q", m)
			}
			have := map[string]bool{}
			for _, m := range ids.FindAllStringSubmatch(html, -1) {
				if have[m[1]] || m[1] == "" {
					t.Errorf("id %q is there twice or empty", m[1])
				}
				have[m[1]] = true
			}
			for _, m := range refs.FindAllStringSubmatch(html, -1) {
				for id := range strings.FieldsSeq(m[1]) {
					if !have[id] {
						t.Errorf("%s points nowhere", strings.TrimSpace(m[0]))
					}
				}
			}
			checkLabels(t, html)
		})
	}
}

func checkLabels(t *testing.T, html string) {
	t.Helper()
	for _, at := range inputs.FindAllStringIndex(html, -1) {
		tag := html[at[0]:at[1]]
		before := html[:at[0]]
		inLabel := strings.LastIndex(before, "<label") > strings.LastIndex(before, "</label>")
		id := ids.FindStringSubmatch(tag)
		labelled := id != nil && strings.Contains(html, `for="`+id[1]+`"`)
		if !strings.Contains(tag, `type="hidden"`) && !inLabel && !labelled && !strings.Contains(tag, "aria-label") {
			t.Errorf("no label for %s", tag)
		}
	}
}

func TestStatusSaysTheState(t *testing.T) {
	u := sampleUI()
	for s, want := range map[hub.State]string{
		hub.Pending:             "wait|You are in line|2 companies are ahead of you.|3|40 minutes to 2 hours|70 minutes to 3 hours 10 minutes|done now todo todo|cancel",
		hub.InProgress:          "work|It is your turn||0||2 to 5 seconds|done done now todo|cancel",
		hub.CredentialsReceived: "work|Setting up your database||0||2 to 5 seconds|done done now todo|cancel",
		hub.Migrating:           "work|Setting up your database||0||2 to 5 seconds|done done now todo|",
		hub.Completed:           "good|Your database is ready||0|||done done done done|reveal",
		hub.Failed:              "bad|This takes longer than it should||0|||done done bad todo|cancel",
		hub.Cancelled:           "off|You left the line||0|||done bad todo todo|",
	} {
		v := u.statusView(sampleStatus(s), "tok")
		var marks []string
		for _, st := range v.Stages {
			marks = append(marks, st.Mark)
		}
		can := ""
		if v.CanCancel {
			can = "cancel"
		}
		if v.CanReveal {
			can += "reveal"
		}
		got := strings.Join([]string{v.Tone, v.Headline, v.AheadWords, strconv.Itoa(v.Position), v.Starts, v.Ready, strings.Join(marks, " "), can}, "|")
		if got != want {
			t.Errorf("%s\n got %s\nwant %s", s, got, want)
		}
	}
}

func TestStepsOfOneTitleAreOne(t *testing.T) {
	got := ""
	for _, s := range group(sampleSteps(3, hub.StepRunning)) {
		got += fmt.Sprintf("%s %d %s %s\n", s.Title, s.Parts, s.Status, s.Took)
	}
	want := "Create the database 1 done 20 ms\nSeal its identity 1 done 33 ms\nSet up Core 2 running \nSet up Inventory 1 pending \n" +
		"Set up Point of sale 1 pending \nFill in Inventory 1 pending \nTry it as you would 1 pending \n"
	if got != want {
		t.Errorf("got\n%s", got)
	}
	if s := group(sampleSteps(8, hub.StepDone))[3]; s.Took != "ready-made" {
		t.Errorf("a step that was copied took %s", s.Took)
	}
}

func TestDurationsInWords(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-1: "0 s", 10 * time.Microsecond: "1 ms", 42 * time.Millisecond: "42 ms", 123 * time.Millisecond: "0.12 s", 999 * time.Millisecond: "1.0 s", 12 * time.Second: "12 s",
		89 * time.Second: "89 s", 90 * time.Second: "2 min", 2 * time.Hour: "2 h", 125 * time.Minute: "2 h 5 min", 49 * time.Hour: "2 days",
	} {
		if got := took(d); got != want {
			t.Errorf("took(%v) = %q, want %q", d, got, want)
		}
	}
	for _, c := range []struct {
		p50, p90 time.Duration
		want     string
	}{
		{0, 300 * time.Millisecond, "less than a second"},
		{200 * time.Millisecond, 3 * time.Second, "up to 3 s"},
		{time.Second, 5 * time.Second, "1–5 s"},
		{4100 * time.Millisecond, 4200 * time.Millisecond, "about 5 s"},
		{30 * time.Minute, 2 * time.Hour, "30 min – 2 h"},
		{40 * time.Second, 4 * time.Minute, "40 s – 4 min"},
		{31 * time.Second, 52 * time.Second, "35–55 s"},
	} {
		if got := span(c.p50, c.p90); got != c.want {
			t.Errorf("span(%v, %v) = %q, want %q", c.p50, c.p90, got, c.want)
		}
	}
	for want, p := range map[string][2]time.Duration{
		"less than a second": {0, 300 * time.Millisecond}, "up to 1 second": {0, time.Second}, "2 to 5 seconds": {2 * time.Second, 5 * time.Second},
		"40 seconds to 4 minutes": {40 * time.Second, 4 * time.Minute}, "about 3 hours": {3 * time.Hour, 3 * time.Hour},
		"70 minutes to 3 hours 10 minutes": {70 * time.Minute, 190 * time.Minute}, "2 to 9 days": {48 * time.Hour, 216 * time.Hour},
	} {
		if got := spanInWords(p[0], p[1]); got != want {
			t.Errorf("spanInWords(%v) = %q, want %q", p, got, want)
		}
	}
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1\u2009000", 1234567: "1\u2009234\u2009567", -1000: "-1\u2009000"} {
		if got := number(n); got != want {
			t.Errorf("number(%d) = %q", n, got)
		}
	}
}

func TestTheWayBackStaysInside(t *testing.T) {
	for next, want := range map[string]string{
		"": "/console", "/console?state=all": "/console?state=all", "/console/requests/req_1": "/console/requests/req_1", "//evil.example/console": "/console",
		"https://evil.example/console": "/console", `/\evil.example`: "/console", "/console/../setup": "/console", "/console/events": "/console", "/consoles": "/console",
		"/console/requests/x/events": "/console", "javascript:alert(1)": "/console", "%zz": "/console",
	} {
		if got := within(next); got != want {
			t.Errorf("within(%q) = %q, want %q", next, got, want)
		}
	}
}

func TestFilterSurvivesItsAddress(t *testing.T) {
	key := hub.LineKey{Priority: 2, EnqueuedAt: sampleNow, ID: "req_9"}
	for _, f := range []lineFilter{
		{State: hub.Pending}, {Plan: "basic", Query: "Müller & Söhne", Mine: true}, {State: hub.Failed, Overdue: true, after: &key, from: 50},
	} {
		got := readFilter(f.page())
		if got.State != f.State || got.Plan != f.Plan || got.Query != f.Query || got.Mine != f.Mine || got.Overdue != f.Overdue || got.from != f.from {
			t.Errorf("got %+v, want %+v", got, f)
		}
		if (got.after == nil) != (f.after == nil) || (f.after != nil && *got.after != *f.after) {
			t.Errorf("the place was lost: %+v", got.after)
		}
	}
}

// Words reach 4.5:1 against what they stand on, lines of inputs 3:1 (WCAG 2.2 AA), in both themes.
func TestContrast(t *testing.T) {
	css, err := staticFiles.ReadFile("static/css/1-base.css")
	if err != nil {
		t.Fatal(err)
	}
	light, dark, both := strings.Cut(string(css), "@media (prefers-color-scheme: dark)")
	if !both {
		t.Fatal("there is no dark theme")
	}
	dark, _, _ = strings.Cut(dark, "\n}\n")
	pairs := map[string][]string{
		"ink": {"bg", "sheet", "sunk", "bad-soft", "good-soft", "warn-soft"}, "soft": {"bg", "sheet", "sunk"}, "faint": {"bg", "sheet", "sunk"},
		"accent-text": {"bg", "sheet", "accent-soft"}, "accent-ink": {"accent", "accent-strong"}, "good": {"sheet", "good-soft"}, "bad": {"bg", "sheet", "bad-soft"},
		"warn": {"bg", "sheet", "warn-soft"}, "sheet": {"bad", "bad-strong"},
	}
	for theme, block := range map[string]string{"light": light, "dark": dark} {
		colour := map[string][3]float64{}
		for _, m := range regexp.MustCompile(`--([a-z-]+): #([0-9a-f]{6})`).FindAllStringSubmatch(block, -1) {
			n, err := strconv.ParseUint(m[2], 16, 32)
			if err != nil {
				t.Fatal(err)
			}
			colour[m[1]] = [3]float64{float64(n >> 16), float64(n >> 8 & 255), float64(n & 255)}
		}
		for fg, on := range pairs {
			for _, bg := range on {
				if c := contrast(colour[fg], colour[bg]); c < 4.5 {
					t.Errorf("%s: %s on %s is %.2f", theme, fg, bg, c)
				}
			}
		}
		for _, p := range [][2]string{{"line-strong", "sheet"}, {"accent", "sheet"}, {"accent", "line"}, {"ink", "sheet"}} { // lines of inputs, bars and their marks
			if c := contrast(colour[p[0]], colour[p[1]]); c < 3 {
				t.Errorf("%s: %s against %s is %.2f", theme, p[0], p[1], c)
			}
		}
	}
}

// contrast is the ratio of WCAG 2.2, "contrast ratio" and "relative luminance".
func contrast(a, b [3]float64) float64 {
	lum := func(c [3]float64) float64 {
		var l float64
		for i, w := range []float64{.2126, .7152, .0722} {
			v := c[i] / 255
			if v <= .04045 {
				v /= 12.92
			} else {
				v = math.Pow((v+.055)/1.055, 2.4)
			}
			l += w * v
		}
		return l
	}
	x := []float64{lum(a), lum(b)}
	return (slices.Max(x) + .05) / (slices.Min(x) + .05)
}

func TestTheRecordInWords(t *testing.T) {
	v := sampleUI().recordView(sampleRecords())
	got := ""
	for _, row := range v.Rows {
		got += row.Name + ":"
		for _, c := range row.Cells {
			for _, s := range c.Shares {
				got += " " + s.Percent + s.None
				if s.Few {
					got += "?"
				}
			}
			got += " |"
		}
		got += "\n"
	}
	want := "Starter: nobody had to wait 52 % | nobody had to wait 91 % | 52 % 40 % | 92 % 99 % |\n" +
		"Enterprise: 50 %? 51 % | 83 %? 90 % | 38 % 40 % | 96 % 99 % |\n" +
		"<b>gone: nobody had to wait 51 % | nobody had to wait 90 % | none is ready yet 40 % | none is ready yet 99 % |\n" +
		"All plans: 50 %? 52 % | 83 %? 91 % | 51 % 40 % | 93 % 99 % |\n"
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	for want, n := range map[string][2]int{"0 %": {0, 1000}, "1 %": {1, 1000}, "99 %": {999, 1000}, "100 %": {1000, 1000}} {
		if got := percent(n[0], n[1]); got != want {
			t.Errorf("percent(%v) = %s, want %s", n, got, want)
		}
	}
}

func TestNoForecastSaysWhy(t *testing.T) {
	st := sampleStatus(hub.Pending)
	st.Wait, st.Ready, st.Reason = hub.Estimate{Basis: forecast.Unknown}, hub.Estimate{Basis: forecast.Unknown}, "Nobody is working and nobody is announced."
	v := sampleUI().statusView(st, "tok")
	if v.Starts+v.Ready+v.Basis != "" || v.Lead != "No forecast can be given right now. Nobody is working and nobody is announced." {
		t.Errorf("%q %q %q %q", v.Starts, v.Ready, v.Basis, v.Lead)
	}
}

// While the hub tries again by itself the page says so, and when; given up, it does not.
func TestARetryOfTheHubIsShown(t *testing.T) {
	at := time.Date(2026, 11, 22, 16, 0, 7, 0, time.UTC)
	st := sampleStatus(hub.Failed)
	st.Reason, st.Request.Failure = "We try again.", &hub.Failure{Step: "create", RetryAt: &at}
	v := sampleUI().statusView(st, "tok")
	if v.RetryAt == nil || v.Tone != "work" || v.Headline != "A short delay" || v.Lead != "We try again." || v.Stages[2].Mark == "bad" {
		t.Errorf("%+v", v)
	}
	st.Request.Failure = &hub.Failure{Step: "create"}
	if v = sampleUI().statusView(st, "tok"); v.RetryAt != nil || v.Tone != "bad" {
		t.Errorf("%+v", v)
	}
}

// Every reason of the hub has words.
func TestEveryReasonHasWords(t *testing.T) {
	for _, code := range []string{hub.HigherPriorityJoined, hub.EarlierReturned, hub.PriorityChanged} {
		if wentBack[code] == "" {
			t.Errorf("%s has none", code)
		}
	}
	_, a, err := snapshot(nil, fragment{HTML: "x", Why: "y"}, true)
	if err != nil {
		t.Fatal(err)
	}
	if _, b, err := snapshot(nil, fragment{HTML: "x"}, true); err != nil || a.ID != b.ID {
		t.Errorf("a reason that is said would be sent again as news: %v", err)
	}
}

// What the page shows as environment variables a shell takes in as they are; what needs no quotes has none.
func TestVariablesAsAShellReadsThem(t *testing.T) {
	for _, value := range []string{
		"", "plain", "postgres://u:p%20w@h:5432/d?sslmode=require", "a b", "it's", `"$HOME" and \`, "`id`", "$(id)", "a&b;c|d>e", "~", "two\nlines", "äöü", "#", "a*",
	} {
		shown := sortedEnv(hub.Credentials{Env: map[string]string{"X": value}})[0]
		out, err := exec.CommandContext(t.Context(), "sh", "-c", shown.Name+"="+shown.Value+"\nprintf %s \"$X\"").Output()
		if err != nil || string(out) != value {
			t.Errorf("%s is read as %q, not %q: %v", shown.Value, out, value, err)
		}
		if simple := strings.HasPrefix(value, "p") || value == ""; simple && shown.Value != value {
			t.Errorf("%q is quoted: %s", value, shown.Value)
		}
	}
}
