package demo

import (
	"fmt"
	"math/rand/v2"

	"github.com/kitshub/kitshub/internal/proof/drive"
	"github.com/kitshub/kitshub/internal/proof/inspect"
)

// Names as people type them: what breaks on an apostrophe, an umlaut or a tag shall break here.
var (
	companies = []string{"O'Neil & Sons", "Bäckerei Müller", "Café Zoë", "株式会社さくら", "<b>Bold</b> Ltd", "Smith; DROP TABLE", "Ægir Fisk", "Łódź Meble", "Nuts \"n\" Bolts", "Plain Trading"}
	contacts  = []string{"Seán O'Neil", "Jürgen Müller", "Zoë Dupont", "さくら 花子", "Robert'); --", "Ægir Jónsson", "Łucja Nowak", "Ann Smith"}
)

// customers draws the sign-ups from the seed. The first ones take each plan once, so that even a small run shows all of them; after that the
// earlier a plan stands in the catalog the more often it is taken. Every fourth customer wants only some of the plan's features.
func customers(n int, seed int64, plans []inspect.Plan) []drive.SignUp {
	r := rand.New(rand.NewPCG(uint64(seed), 2)) //nolint:gosec // the same seed shall give the same customers
	out := make([]drive.SignUp, n)
	for i := range out {
		p := plans[i%len(plans)]
		if i >= len(plans) {
			p = plans[weighted(r, len(plans))]
		}
		out[i] = drive.SignUp{
			Email:       fmt.Sprintf("customer-%d-%d@demo.example", seed, i+1),
			CompanyName: companies[r.IntN(len(companies))], ContactName: contacts[r.IntN(len(contacts))],
			Plan: p.ID,
		}
		if r.IntN(4) == 0 && len(p.Features) > 1 {
			for _, f := range p.Features {
				if r.IntN(2) == 0 {
					out[i].Features = append(out[i].Features, f)
				}
			}
		}
	}
	return out
}

// weighted draws from 0…n-1 with weights n, n-1, … 1.
func weighted(r *rand.Rand, n int) int {
	x := r.IntN(n * (n + 1) / 2)
	for i := range n {
		if x -= n - i; x < 0 {
			return i
		}
	}
	return n - 1
}
