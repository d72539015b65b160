package webui_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/kitshub/kitshub/internal/hub"
	"github.com/kitshub/kitshub/internal/testkit"
)

// An operator without JavaScript tries a database and gives it; what is secret never comes back.
func TestBringADatabase(t *testing.T) {
	r := newRig(t)
	r.hire("paul@example.com", "Paul", hub.Provisioner)
	s := r.signUp("big@example.com", "Groß", "enterprise")
	v, path := r.operator(adminMail), "/console/requests/"+s.Request.ID
	v.get(path).want(200).hasNot("Bring a database")
	v.post(path + "/claim").want(303)
	form := v.get(path).want(200).has("Bring a database", "Connection string", "Supabase project", "Test connection")
	style := v.get(regexp.MustCompile(`/static/app\.[0-9a-f]+\.css`).FindString(form.Body)).want(200).Body
	for _, field := range regexp.MustCompile(`<input id="[^"]*" name="[^"]*" type="([a-z]+)"`).FindAllStringSubmatch(form.Body, -1) {
		if !strings.Contains(style, "input[type="+field[1]+"],") {
			t.Errorf("a field of type %s looks unlike the others: %s", field[1], field[0])
		}
	}
	r.operator("paul@example.com").get(path).want(200).hasNot("Bring a database") // it is not in his hands

	db := testkit.Postgres(t)
	u, err := url.Parse(db)
	ok(t, err)
	password, _ := u.User.Password()
	sound := func(p page) page {
		t.Helper()
		if password == "" || strings.Contains(p.Body, password) {
			t.Errorf("the page holds the password %q: %s", password, p.Body)
		}
		return p
	}
	good := []string{"provider", "manual", "connection_string", db}
	sound(v.post(path+"/test", good...).want(200).has("This database will do.", "connect", "rights", "Secrets are not sent back"))
	bad := *u
	bad.Host = "127.0.0.1:1"
	sound(v.post(path+"/test", "provider", "manual", "connection_string", bad.String()).want(422).has("Nothing listens at 127.0.0.1:1", "CONNECTION_FAILED"))
	sound(v.post(path+"/credentials", "provider", "manual", "connection_string", bad.String()).want(422).has("Nothing listens", "Check host and port"))
	v.post(path+"/credentials", "provider", "manual").want(422).has("Connection string is needed.")
	v.post(path+"/test", "provider", "supabase", "project_ref", "<b>x", "anon_key", "topsecret").want(422).holds(`value="&lt;b&gt;x"`).has("This is no project reference.", "Database password is needed.").hasNot("topsecret")

	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.URL+path+"/test", strings.NewReader(url.Values{"provider": {"manual"}, "connection_string": {db}}.Encode()))
	ok(t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("X-Part", "trial")
	if p := sound(v.do(req)).want(200).has("This database will do."); strings.Contains(p.Body, "<html") || p.Header.Get("X-Part") != "trial" {
		t.Errorf("the part alone is\n%s", p.Body)
	}

	r.work()
	v.post(path+"/credentials", good...).want(303)
	r.reach(s.Request.ID, hub.Completed)
	sound(v.get(path).want(200).has("manual", u.Host+u.Path, "connection.test", "Examine the database").hasNot("Bring a database", "Create the database"))
	if strings.Contains(r.log.String(), password) {
		t.Error("the log holds the password")
	}
}
