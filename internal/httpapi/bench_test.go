package httpapi

import "testing"

// The document is built once at each start; it must not be what a start waits for.
func BenchmarkDocument(b *testing.B) {
	for b.Loop() {
		if _, err := document("test", table()); err != nil {
			b.Fatal(err)
		}
	}
}
