package hub_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/kitshub/kitshub/internal/hub"
	"github.com/kitshub/kitshub/internal/hub/hubtest"
)

// However an offer is printed, it is its provider's name.
func TestAnOfferPrintsNoSecret(t *testing.T) {
	o := hub.Offer{Provider: "manual", Given: map[string]string{"connection_string": "postgres://u:c4nary@h/d"}}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "offer", o)
	text := fmt.Sprintf("%v %+v %#v %s", o, o, o, log.String())
	if strings.Contains(text, "c4nary") || strings.Count(text, "manual") != 4 {
		t.Error(text)
	}
}

// A hub that takes no databases says so, and what does not go with a provider is named.
func TestOffersThatDoNotFit(t *testing.T) {
	t.Parallel()
	r := hubtest.New(t, hubtest.SQLite(t))
	a := r.Operator("op", hub.Provisioner)
	q := place(r, hub.InProgress, false, a.ID)
	for _, c := range []struct {
		offer hub.Offer
		field string
		code  hub.Code
	}{
		{hub.Offer{}, "provider", hub.CodeMissingField},
		{hub.Offer{Provider: "manual"}, "provider", hub.CodeInvalidField},
		{hub.Offer{Provider: "sqlite", Given: map[string]string{"region": "x"}}, "region", hub.CodeInvalidJSON},
	} {
		_, _, err := r.GiveCredentials(t.Context(), a, q.ID, c.offer)
		wantCode(t, err, c.code)
		if e, ok := err.(*hub.Error); !ok || len(e.Fields) != 1 || e.Fields[0].Field != c.field { //nolint:errorlint // it is bare
			t.Errorf("%v: %+v", c.offer, err)
		}
		_, err = r.TestConnection(t.Context(), a, c.offer, "")
		wantCode(t, err, c.code)
	}
	_, err := r.TestConnection(t.Context(), a, hub.Offer{Provider: "sqlite"}, "")
	wantCode(t, err, hub.CodeInvalidField)
	_, err = r.TestConnection(t.Context(), r.Operator("looks", hub.Support), hub.Offer{Provider: "sqlite"}, "")
	wantCode(t, err, hub.CodeForbidden)
	equal(t, "the request", r.Row(q.ID), q)
}
