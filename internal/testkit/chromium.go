package testkit

import (
	"testing"

	"github.com/kitshub/kitshub/internal/testkit/debian"
)

// Chromium gives the path of a Chromium, installing Debian's when it is missing and this process may. To drive one,
// use the package browser below this one; it is apart because its library is large and few tests need it.
func Chromium(t testing.TB) string {
	t.Helper()
	path, ok := findChromium()
	if ok {
		return path
	}
	t.Log("installing Debian's chromium, which is missing here")
	err := debian.Install(t.Context(), "chromium", func() bool { path, ok = findChromium(); return ok })
	if err != nil {
		t.Fatalf("the tests of the pages need Chromium or Google Chrome on PATH: %v", err)
	}
	return path
}

func findChromium() (string, bool) {
	return debian.Find(
		[]string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"},
		[]string{"/snap/bin", "/Applications/Chromium.app/Contents/MacOS", "/Applications/Google Chrome.app/Contents/MacOS"},
	)
}
