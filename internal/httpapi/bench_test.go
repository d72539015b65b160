package httpapi

import (
	"testing"
	"time"

	"github.com/kitshub/kitshub/internal/forecast"
	"github.com/kitshub/kitshub/internal/httpapi/wire"
	"github.com/kitshub/kitshub/internal/hub"
)

// The document is built once at each start; it must not be what a start waits for.
func BenchmarkDocument(b *testing.B) {
	for b.Loop() {
		if _, err := document("test", table()); err != nil {
			b.Fatal(err)
		}
	}
}

// What writing the status document by hand saves.
func BenchmarkStatusDocument(b *testing.B) {
	at := time.Date(2026, 11, 22, 16, 0, 0, 123456000, time.UTC)
	wait := hub.Estimate{P50: time.Hour, P90: 3 * time.Hour, Basis: forecast.Measured}
	d := statusOf(hub.Status{
		Request: hub.Request{
			State: hub.Pending, Plan: "enterprise", EnqueuedAt: at,
			Customer: hub.CustomerRef{CompanyName: "O'Neil & Söhne", ContactName: "Ada Lovelace", Email: "ada@example.com"},
		},
		Position: 123457, Ahead: 123456, Wait: wait, Ready: wait, AsOf: at.Add(time.Hour),
	})
	b.Run("by hand", func(b *testing.B) {
		b.ReportAllocs()
		room := make([]byte, 0, wire.UsualBody)
		for b.Loop() {
			room = appendStatus(room[:0], &d)
		}
	})
	b.Run("by reflection", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := wire.Marshal(&d); err != nil {
				b.Fatal(err)
			}
		}
	})
}
