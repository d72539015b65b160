package browser_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/kitshub/kitshub/internal/testkit/browser"
)

func TestTabRunsAPage(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte(`<p id=p>before</p><script>document.getElementById("p").textContent = "after"</script>`))
	}))
	t.Cleanup(srv.Close)
	tab := browser.Tab(t)
	if err := chromedp.Do(tab, chromedp.Navigate(srv.URL)); err != nil {
		t.Fatal(err)
	}
	got, err := chromedp.Run(tab, chromedp.Text("#p"))
	if err != nil {
		t.Fatal(err)
	}
	if got != "after" {
		t.Errorf("the page shows %q, want %q", got, "after")
	}
}
