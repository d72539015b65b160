// Package browser gives a test a real Chromium to drive with chromedp. The browser runs without a window and talks
// to nobody but the pages it is sent to.
package browser

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/kitshub/kitshub/internal/testkit"
)

// Options are chromedp's options for a browser with a fresh profile, right for root and for containers too.
func Options(t testing.TB) []chromedp.ExecAllocatorOption {
	t.Helper()
	opts := []chromedp.ExecAllocatorOption{
		chromedp.ExecPath(testkit.Chromium(t)),
		chromedp.UserDataDir(profile(t)),
		chromedp.Headless,
		chromedp.DisableGPU,
		chromedp.NoFirstRun,
		chromedp.NoDefaultBrowserCheck,
		chromedp.WSURLReadTimeout(2 * time.Minute), // a first start on a busy machine takes longer than the usual 20 s at times
		chromedp.Flag("disable-quic", true),
		// No calls home: they slow the start down and fail where there is no network.
		chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-sync", true),
		// /dev/shm is 64 MB in many containers, too little for a page.
		chromedp.Flag("disable-dev-shm-usage", true),
		chromedp.WindowSize(1280, 900),
	}
	if os.Geteuid() == 0 {
		opts = append(opts, chromedp.NoSandbox) // Chromium's sandbox refuses to start as root
	}
	return opts
}

// Tab starts a browser for the test and gives the context of its first tab. Both end with the test.
func Tab(t testing.TB) context.Context {
	t.Helper()
	alloc, stop := chromedp.NewExecAllocator(context.WithoutCancel(t.Context()), Options(t)...)
	tab, closeTab := chromedp.NewContext(alloc, chromedp.WithErrorf(t.Logf))
	t.Cleanup(func() {
		// The orderly way first: a browser that is killed may still be writing its profile while it is removed.
		if err := chromedp.Cancel(tab); err != nil {
			t.Logf("close the browser: %v", err)
		}
		closeTab()
		stop()
	})
	if err := chromedp.Do(tab); err != nil {
		t.Fatalf("start Chromium: %v", err)
	}
	return tab
}

// profile is not t.TempDir, which fails a test when a helper process of the browser writes one more file while the
// directory is being removed.
func profile(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "kitshub-chromium-") //nolint:usetesting // see above
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Logf("left behind: %v", err)
		}
	})
	return dir
}
